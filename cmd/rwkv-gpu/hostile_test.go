package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// hostileSize is the model that hostile files are made of: with a World vocabulary, and a last layer to be cut off.
var hostileSize = weightstest.Size{Vocab: 270, Embed: 32, Layers: 2, Head: 16, FFN: 48, W: 8, A: 12, V: 4, G: 20}

// containers write a model in every format; a directory is several files, of which the first is the one that is
// damaged.
var containers = []struct {
	name  string
	write func(list []*tensor.Tensor) [][]byte
	files []string
}{
	{"safetensors", func(l []*tensor.Tensor) [][]byte { return [][]byte{weightstest.Safetensors(l, nil)} }, []string{"m.safetensors"}},
	{"web-rwkv", func(l []*tensor.Tensor) [][]byte {
		return [][]byte{weightstest.Safetensors(weightstest.WebRWKV(l), nil)}
	}, []string{"m.st"}},
	{"pth", func(l []*tensor.Tensor) [][]byte { return [][]byte{weightstest.Torch{}.File(l)} }, []string{"m.pth"}},
	{"legacy pth", func(l []*tensor.Tensor) [][]byte { return [][]byte{weightstest.Torch{Legacy: true}.File(l)} }, []string{"m.pth"}},
	{"GGUF", func(l []*tensor.Tensor) [][]byte {
		return [][]byte{weightstest.GGUF(weightstest.LlamaMeta(hostileSize), weightstest.Llama(l))}
	}, []string{"m.gguf"}},
	{"rwkv.cpp", func(l []*tensor.Tensor) [][]byte {
		h := weightstest.GGMF{Version: 101, Vocab: int32(hostileSize.Vocab), Embed: int32(hostileSize.Embed), Layers: int32(hostileSize.Layers), Type: 1}
		return [][]byte{h.File(weightstest.RWKVCpp(l)...)}
	}, []string{"m.bin"}},
	{"Hugging Face", func(l []*tensor.Tensor) [][]byte {
		l = weightstest.Fla(l)
		first, second := l[:len(l)/2], l[len(l)/2:]
		var where []string
		for i, part := range [][]*tensor.Tensor{first, second} {
			for _, x := range part {
				where = append(where, fmt.Sprintf("%q:%q", x.Name, fmt.Sprintf("model-%d.safetensors", i+1)))
			}
		}
		return [][]byte{weightstest.Safetensors(first, nil), weightstest.Safetensors(second, nil),
			[]byte(`{"weight_map":{` + strings.Join(where, ",") + `}}`), []byte(`{"model_type":"rwkv7"}`)}
	}, []string{"model-1.safetensors", "model-2.safetensors", "model.safetensors.index.json", "config.json"}},
}

// tensorFaults change a model's tensors.
func tensorFaults() map[string]func(list []*tensor.Tensor) []*tensor.Tensor {
	all := map[string]func([]*tensor.Tensor) []*tensor.Tensor{}
	find := func(l []*tensor.Tensor, name string) int {
		return slices.IndexFunc(l, func(x *tensor.Tensor) bool { return x.Name == name })
	}
	replace := func(name string, change func(x *tensor.Tensor) *tensor.Tensor) func([]*tensor.Tensor) []*tensor.Tensor {
		return func(l []*tensor.Tensor) []*tensor.Tensor {
			l = slices.Clone(l)
			l[find(l, name)] = change(l[find(l, name)])
			return l
		}
	}
	for what, v := range map[string]float64{"NaN": math.NaN(), "infinity": math.Inf(1), "minus infinity": math.Inf(-1)} {
		for _, name := range []string{"emb.weight", "head.weight", "blocks.1.att.w1", "blocks.1.ffn.value.weight", "ln_out.bias"} {
			all[what+" in "+name] = replace(name, func(x *tensor.Tensor) *tensor.Tensor {
				f, err := x.Floats()
				if err != nil {
					panic(err)
				}
				f[len(f)-1] = float32(v)
				data := make([]byte, x.Type.Bytes(len(f)))
				x.Type.Encode(data, f)
				return tensor.FromBytes(x.Name, x.Type, x.Shape, data)
			})
		}
	}
	for _, name := range []string{"emb.weight", "head.weight", "ln_out.weight", "blocks.1.att.key.weight", "blocks.0.ffn.value.weight", "blocks.1.ln1.bias"} {
		all["without "+name] = func(l []*tensor.Tensor) []*tensor.Tensor {
			at := find(l, name)
			return slices.Concat(l[:at], l[at+1:])
		}
	}
	for name, shape := range map[string][]int{
		"emb.weight": {269, 32}, "head.weight": {32, 270}, "blocks.1.att.key.weight": {16, 64}, "blocks.0.ffn.key.weight": {49, 32},
		"ln_out.weight": {33}, "blocks.1.att.w2": {9, 32}, "blocks.0.att.receptance.weight": {1024},
	} {
		all[fmt.Sprintf("%s of shape %v", name, shape)] = replace(name, func(x *tensor.Tensor) *tensor.Tensor {
			n := 1
			for _, d := range shape {
				n *= d
			}
			return tensor.FromBytes(name, x.Type, shape, make([]byte, x.Type.Bytes(n)))
		})
	}
	all["a tensor twice"] = func(l []*tensor.Tensor) []*tensor.Tensor { return append(slices.Clone(l), l[find(l, "ln_out.bias")]) }
	all["no tensors"] = func([]*tensor.Tensor) []*tensor.Tensor { return nil }
	all["a hole between the layers"] = func(l []*tensor.Tensor) []*tensor.Tensor {
		l = slices.Clone(l)
		for i, x := range l {
			if rest, ok := strings.CutPrefix(x.Name, "blocks.1."); ok {
				l[i] = tensor.FromBytes("blocks.3."+rest, x.Type, x.Shape, loaded(x))
			}
		}
		return l
	}
	return all
}

func loaded(x *tensor.Tensor) []byte {
	data, err := x.Load()
	if err != nil {
		panic(err)
	}
	return data
}

// byteFaults change the bytes of a file.
func byteFaults(n int) map[string]func(data []byte) []byte {
	all := map[string]func([]byte) []byte{
		"another magic":    func(d []byte) []byte { return append([]byte{^d[0]}, d[1:]...) },
		"zeros before":     func(d []byte) []byte { return append(make([]byte, 8), d...) },
		"huge numbers":     func(d []byte) []byte { return slices.Concat(d[:8], bytes.Repeat([]byte{0xff}, 16), d[24:]) },
		"zeros for a head": func(d []byte) []byte { return append(make([]byte, 64), d[64:]...) },
		"a web page":       func([]byte) []byte { return []byte("<!DOCTYPE html><html>") },
		"a pointer":        func([]byte) []byte { return []byte("version https://git-lfs.github.com/spec/v1\n") },
		"gzip":             func([]byte) []byte { return []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00") },
		"text":             func([]byte) []byte { return []byte("{}") },
	}
	for _, cut := range []int{0, 1, 3, 8, 20, 60, n / 8, n / 4, n / 2, n * 3 / 4, n - 200} {
		all[fmt.Sprintf("cut at %d", cut)] = func(d []byte) []byte { return d[:cut] }
	}
	return all
}

// hostileCase is a run of the command that has to end with status 3 and one line.
type hostileCase struct {
	Name string
	Args []string
}

type hostileAnswer struct {
	Status         int
	Stdout, Stderr string
}

const hostileEnv = "RWKV_TEST_HOSTILE"

// Files that are broken, hostile or not what they seem end every command with one line and status 3, and take less than
// 100 MiB, the program's own included.
func TestHostileFiles(t *testing.T) {
	reference.RacedIn(t, "TestBadModels, TestBadWeightsOnGPU and package model/weights")
	if path := os.Getenv(hostileEnv); path != "" {
		runHostile(t, path)
		return
	}
	vocab := writeFile(t, "vocab.txt", worldOf(hostileSize.Vocab))
	sound := weightstest.RWKV7(hostileSize, tensor.F16, 1)
	for _, c := range containers {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			var cases []hostileCase
			add := func(name string, files [][]byte, args ...string) {
				at := filepath.Join(dir, fmt.Sprint(len(cases)))
				if err := os.Mkdir(at, 0o700); err != nil {
					t.Fatal(err)
				}
				for i, data := range files {
					if err := os.WriteFile(filepath.Join(at, c.files[i]), data, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				if len(c.files) == 1 {
					at = filepath.Join(at, c.files[0])
				}
				cases = append(cases, hostileCase{name, append([]string{"generate", "a", "-n", "1", "--device", "cpu", "--quiet", "--model", at}, args...)})
			}
			for name, fault := range tensorFaults() {
				add(name, c.write(fault(sound)), "--vocab", vocab)
			}
			files := c.write(sound)
			for name, fault := range byteFaults(len(files[0])) {
				add(name, append([][]byte{fault(slices.Clone(files[0]))}, files[1:]...), "--vocab", vocab)
			}
			add("another vocabulary", files, "--vocab", writeFile(t, "large.txt", worldOf(hostileSize.Vocab+1)))
			add("half a vocabulary", files, "--vocab", writeFile(t, "half.txt", worldOf(hostileSize.Vocab)[:2000]))
			if len(cases) < 40 {
				t.Errorf("want at least 40 files, got %d", len(cases))
			}
			add("sound", files, "--vocab", vocab)
			answers, peak := hostile(t, cases)
			for i, r := range answers[:len(cases)-1] {
				if r.Status != statusInput || strings.Count(r.Stderr, "\n") != 1 || r.Stdout != "" || !strings.HasPrefix(r.Stderr, "rwkv-gpu: generate: ") {
					t.Errorf("%s: want status 3 and one line, got %+v", cases[i].Name, r)
				}
			}
			if r := answers[len(cases)-1]; r.Status != statusDone {
				t.Errorf("the file that is varied is broken itself: %+v", r)
			}
			t.Logf("%d files, peak of resident memory %d MiB", len(cases)-1, peak>>10)
			if peak > 100<<10 && !testing.Short() { // the race detector takes more
				t.Errorf("want less than 100 MiB of resident memory, got %d KiB", peak)
			}
		})
	}
}

// hostile runs the cases in one other process and returns its peak of resident memory in KiB, 0 where the system does
// not tell.
func hostile(t *testing.T, cases []hostileCase) (answers []hostileAnswer, peak int) {
	t.Helper()
	list, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestHostileFiles$")
	cmd.Env = append(os.Environ(), hostileEnv+"="+writeFile(t, "cases.json", list))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() && len(answers) < len(cases) {
		var r hostileAnswer
		decode(t, lines.Text(), &r)
		answers = append(answers, r)
	}
	_, _ = fmt.Sscanf(lines.Text(), "peak %d", &peak) // 0 if there is none
	if len(answers) != len(cases) {
		t.Fatalf("want %d answers, got %d", len(cases), len(answers))
	}
	return answers, peak
}

// runHostile runs the cases of a file, and prints an answer a line and the peak of resident memory.
func runHostile(t *testing.T, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cases []hostileCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		r := cli(c.Args...)
		line, err := json.Marshal(hostileAnswer{r.status, r.stdout, r.stderr})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(string(line))
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Println("peak", rest)
		}
	}
}
