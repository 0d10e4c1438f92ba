package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/compare"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

func floats(data []byte) []float32 {
	f := make([]float32, len(data)/4)
	tensor.F32.Decode(f, data)
	return f
}

// comparison returns what a text says that a device is compared with, with 0 for each number; "" if it does not say.
func comparison(text string) string {
	_, text, _ = strings.Cut(text, "comparing ")
	_, text, _ = strings.Cut(text, " with ")
	end := strings.IndexAny(text, "\n<")
	return regexp.MustCompile(`\d+`).ReplaceAllString(text[:max(end, 0)], "0")
}

func TestTokenize(t *testing.T) {
	for _, text := range []string{"Once upon a time", "", "ü€😀\r\n", "a\xff\xfe\x00b", strings.Repeat("no ", 100)} {
		var in struct {
			Tokens []int `json:"tokens"`
		}
		cliJSON(t, &in, "tokenize", text)
		if in.Tokens == nil {
			t.Errorf("%q: no list", text)
		}
		r := cliWith(context.Background(), text, nil, "tokenize", "-")
		if r.status != statusDone || r.stderr != "" || r.stdout != formatTokens(in.Tokens)+"\n" {
			t.Errorf("%q: %s", text, r)
		}
		if text == "" {
			continue
		}
		var out decoded
		cliJSON(t, &out, "tokenize", "--decode", formatTokens(in.Tokens))
		if string(out.Bytes) != text || out.Text != strings.ReplaceAll(text, "\xff\xfe", "\ufffd\ufffd") {
			t.Errorf("%q came back as %q, %q", text, out.Bytes, out.Text)
		}
		if r := cli("tokenize", "--decode", strings.ReplaceAll(formatTokens(in.Tokens), ",", " ")); r.status != statusDone || r.stdout != text {
			t.Errorf("%q: %s", text, r)
		}
	}
	model, vocab := writeFile(t, "demo.st", demo.Weights()), writeFile(t, "v.txt", demo.Vocab())
	if r := cli("tokenize", "Once", "--model", model, "--vocab", vocab); r.stdout != "1660\n" {
		t.Error(r)
	}
}

func TestInfo(t *testing.T) {
	var in modelInfo
	cliJSON(t, &in, "info")
	if in.Version != "v7" || in.Layers != 6 || in.Embedding != 256 || in.HeadSize != 64 || in.FFN != 1024 || in.Vocab != 4096 ||
		in.Bytes != len(demo.Weights()) || in.Format != "safetensors" || in.Ranks["g"] != 64 || len(in.Unused) != 0 {
		t.Errorf("%+v", in)
	}
	n := 0
	for _, x := range in.Tensors {
		size := 1
		for _, d := range x.Shape {
			size *= d
		}
		n += size
		if x.Type != "F16" {
			t.Errorf("%+v", x)
		}
	}
	if n != in.Parameters || n < 7_000_000 {
		t.Errorf("tensors of %d elements, %d parameters", n, in.Parameters)
	}
	r := cli("info", "--model", tinyModel(t, nil))
	if r.status != statusDone || r.stderr != "" || !strings.Contains(r.stdout, "RWKV-7, 2 layers, width 32") || !strings.Contains(r.stdout, "emb.weight") {
		t.Error(r)
	}
	list := weightstest.RWKV7(weightstest.Tiny, tensor.BF16, 1)
	list = append(list, tensor.FromFloats("optimizer.step", []int{1}, []float32{3}))
	more := writeFile(t, "more.st", weightstest.Safetensors(list, nil))
	if r := cli("info", "--model", more); r.status != statusDone || r.stderr != "tensors that RWKV-7 does not use: 1 (optimizer.step)\n" ||
		!strings.Contains(r.stdout, "1 F32") {
		t.Error(r)
	}
	cliJSON(t, &in, "info", "--model", more)
	if len(in.Unused) != 1 || in.Unused[0] != "optimizer.step" {
		t.Errorf("%v", in.Unused)
	}
}

func TestDevices(t *testing.T) {
	vulkanDevice(t)
	var list struct {
		Devices []gpu.Info `json:"devices"`
	}
	cliJSON(t, &list, "devices")
	if len(list.Devices) == 0 || list.Devices[0].Name == "" || list.Devices[0].Subgroup.Size == 0 || list.Devices[0].Limits.MaxStorageBufferRange == 0 {
		t.Errorf("%+v", list)
	}
	r := cli("devices")
	if r.status != statusDone || r.stderr != "" || !strings.Contains(r.stdout, list.Devices[0].Name) || strings.Count(r.stdout, "\n*") != 1 {
		t.Error(r)
	}
	// An index and a part of the name choose the device.
	for _, spec := range []string{"0", strings.ToUpper(list.Devices[0].Name[1:5])} {
		var a logitsAnswer
		cliJSON(t, &a, "logits", "--tokens", "1", "--device", spec)
		if a.Device != list.Devices[0].Name {
			t.Errorf("--device %s: %s", spec, a.Device)
		}
	}
	wantError(t, cli("generate", "x", "--device", "no such thing"), statusDevice, `device "no such thing": want auto, gpu, cpu or one of`, list.Devices[0].Name)
	wantError(t, cli("generate", "x", "--device", "99"), statusDevice, `device "99"`)
	wantError(t, cli("compare", "--device", "99"), statusDevice, `device "99"`)
}

// Without a Vulkan loader the CPU serves, and says so; who asks for more gets an error.
func TestNoLoader(t *testing.T) {
	t.Setenv("RWKV_VULKAN_LOADER", "/nonexistent")
	r := cli("generate", "Once", "-n", "2")
	if r.status != statusDone || r.stdout == "" || !strings.Contains(r.stderr, "no Vulkan device can be used") || !strings.Contains(r.stderr, "running on CPU") {
		t.Error(r)
	}
	for _, args := range [][]string{{"generate", "Once", "--device", "gpu"}, {"logits", "--tokens", "1", "--device", "0"}, {"devices"}, {"devices", "--json"}, {"compare"}} {
		r := cli(args...)
		wantError(t, r, statusDevice, "no Vulkan loader", "/nonexistent")
		if r.stdout != "" {
			t.Errorf("%q: stdout %q", args, r.stdout)
		}
	}
}

func TestCompare(t *testing.T) {
	reference.Numbers(t)
	device := vulkanDevice(t)
	for _, args := range [][]string{{}, {"--tokens", "1,2,3"}, {"--model", tinyModel(t, nil)}} {
		args = append([]string{"compare", "--device", device}, args...)
		var r compare.Report
		cliJSON(t, &r, args...)
		if r.Verdict != "pass" || r.Device == "" || r.FirstBad != nil || r.Top1Agree != 1 || len(r.Ops) < 10 || r.KL > 1e-6 {
			t.Errorf("%q: %+v", args, r)
		}
	}
	r := cli("compare", "--device", device, "--quiet")
	if r.status != statusDone || r.stderr != "" || !strings.HasPrefix(r.stdout, "pass: ") || strings.Count(r.stdout, "blocks.") < 5 {
		t.Error(r)
	}
	picture, err := os.ReadFile("../../docs/terminal.svg")
	if err != nil {
		t.Fatal(err)
	}
	if a := cli("compare", "--tokens", "1"); a.status != statusDone {
		t.Errorf("auto: %s", a)
	} else if printed, drawn := comparison(a.stderr), comparison(string(picture)); printed == "" || printed != drawn {
		t.Errorf("docs/terminal.svg: want %q, got %q: scripts/picture.sh draws it", printed, drawn)
	}
	host := cli("compare", "--device", "cpu", "--quiet")
	if host.status != statusDone || !strings.HasPrefix(host.stdout, "pass: CPU (") || !strings.Contains(host.stdout, ") against reference (plain Go") {
		t.Error(host)
	}
}

// A failed comparison prints its report and ends with status 1 and the first op to blame.
func TestCompareFails(t *testing.T) {
	bad := "blocks.1.att.wkv"
	report := &compare.Report{Verdict: "fail", Device: "D", FirstBad: &bad, Ops: []compare.Drift{
		{Layer: 1, Op: "blocks.1.att.mix", NMSE: 1e-14, OK: true},
		{Layer: 1, Op: bad, NMSE: 1e-15, Stray: true, Pass: "decode", Kernels: []string{"wkv7_step.tx"}}}}
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		a := &app{stdout: &out, started: true, common: commonFlags{json: asJSON}}
		err := a.printReport(report)
		if statusOf(err) != statusFailed || err.Error() != "D: op blocks.1.att.wkv is out of tolerance" {
			t.Errorf("%v", err)
		}
		if asJSON {
			var r compare.Report
			decode(t, out.String(), &r)
		} else if !strings.Contains(out.String(), bad+"  0.00e+00  1.00e-15  out of tolerance in decode wkv7_step.tx\nblocks.1.att.mix") {
			t.Error(out.String())
		}
	}
}
