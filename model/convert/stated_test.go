package convert_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/convert"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

func parse(t *testing.T, data []byte) *weights.File {
	t.Helper()
	f, err := weights.Parse("made.safetensors", data)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// openMade opens a file and closes it with the test.
func openMade(t *testing.T, path string) (*model.Model, error) {
	t.Helper()
	m, err := model.Open(path)
	if err == nil {
		t.Cleanup(func() { _ = m.Close() })
	}
	return m, err
}

// Every size that a GGUF file of an RWKV-6 states is compared with its tensors.
func TestGGUFSizesOf6(t *testing.T) {
	m, _ := synthetic(t, "v6", tensor.F16, weightstest.Stateless)
	e, err := convert.GGUF(m, convert.GGUFOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made := written(t, e)
	for key, n := range map[string]int{"time_mix_extra_dim": m.Ranks["mix"], "time_decay_extra_dim": m.Ranks["decay"], "wkv.head_size": m.HeadSize, "block_count": m.Layers} {
		key = "rwkv6." + key
		data := bytes.Clone(made)
		value := data[bytes.Index(data, []byte(key))+len(key)+4:] // behind its kind
		if binary.LittleEndian.Uint32(value) != uint32(n) {
			t.Fatalf("%s: want %d in the file, got %d", key, n, value[0])
		}
		value[0]++
		f, err := weights.Parse("made.gguf", data)
		if err == nil {
			_, err = model.New(f)
		}
		if want := fmt.Sprintf("made.gguf: %s: want %d, as the", key, n); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// convert keeps epsilons: safetensors files say them, GGUF files that of the layer norms, and a norm over heads that
// llama.cpp would compute with another one is refused.
func TestEpsilonsConverted(t *testing.T) {
	v7 := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	again := func(e *convert.Export, err error) *model.Model {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "again")
		if err := e.Save(path, false, nil); err != nil {
			t.Fatal(err)
		}
		m, err := openMade(t, path)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m, err := openMade(t, weightstest.Directory(t, weightstest.Fla(v7), map[string]any{"norm_eps": 1e-3}))
	if err != nil {
		t.Fatal(err)
	}
	e, err := convert.Safetensors(m, 0)
	if back := again(e, err); back.NormEps != 1e-3 || back.GroupNormEps != 16e-3 || len(e.Notices) != 2 {
		t.Errorf("safetensors: %v and %v, notices %q", back.NormEps, back.GroupNormEps, e.Notices)
	}
	// Beside the config.json of the directory that it is from, the file says them still.
	dir := weightstest.Directory(t, v7, map[string]any{"norm_eps": 1e-3})
	if err := e.Save(filepath.Join(dir, "model.safetensors"), true, nil); err != nil {
		t.Fatal(err)
	}
	back, err := openMade(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	if back.NormEps != 1e-3 || back.GroupNormEps != 16e-3 || back.File.Layout != "original" {
		t.Errorf("safetensors beside config.json, layout %s: %v and %v", back.File.Layout, back.NormEps, back.GroupNormEps)
	}
	bad := filepath.Join(dir, "model.safetensors")
	if err := os.WriteFile(bad, weightstest.Safetensors(v7, map[string]string{"group_norm_eps": "0"}), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openMade(t, dir); err == nil || !strings.HasPrefix(err.Error(), bad+": group_norm_eps: want a number above 0") {
		t.Errorf("a wrong annotation beside config.json: got %v", err)
	}
	const refused = "group norm epsilon: want 0.00064, which is llama.cpp's and not in the file, got 0.016 (a .safetensors file can hold it)"
	if _, err := convert.GGUF(m, convert.GGUFOptions{}); err == nil || !strings.Contains(err.Error(), refused) {
		t.Errorf("GGUF: want %q, got %v", refused, err)
	}
	m, err = openMade(t, weightstest.Directory(t, weightstest.Native(v7), map[string]any{"norm_eps": 1e-3}))
	if err != nil {
		t.Fatal(err)
	}
	if back := again(convert.GGUF(m, convert.GGUFOptions{})); back.NormEps != 1e-3 || back.GroupNormEps != 64e-5 {
		t.Errorf("GGUF: %v and %v", back.NormEps, back.GroupNormEps)
	}
	five, err := model.NewWith(parse(t, weightstest.Safetensors(weightstest.RWKV("v5.2", weightstest.Tiny, tensor.F16, 1), nil)), model.Options{GroupNormEps: 1e-5})
	if err != nil {
		t.Fatal(err)
	}
	if back := again(convert.Safetensors(five, 0)); back.GroupNormEps != 1e-5 {
		t.Errorf("RWKV-5 with rwkv.cpp's epsilon: %v", back.GroupNormEps)
	}
}
