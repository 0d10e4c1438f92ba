package golden

import (
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// cppManifest is the manifest's part about files that rwkv.cpp wrote.
type cppManifest struct {
	Quantized []struct {
		Name    string
		Prompts map[string][]int
		Files   map[string]struct {
			Path     string
			Expected string
			Info     map[string]struct {
				Tolerance float64 `json:"tolerance_dequantise_to_f32"`
				RWKVCpp   float64 `json:"rwkv_cpp_vs_expected_maxabs"`
			}
		}
	} `json:"quantized_rwkv_cpp"`
	Tiny struct {
		Prompt  []int `json:"prompt_tokens"`
		Prompt2 []int `json:"prompt2_tokens"`
		Models  []cppTiny
	} `json:"rwkv_cpp_tiny"`
	All []struct{ Path string } `json:"all_files"`
}

// cppTiny is one of rwkv.cpp's test models.
type cppTiny struct {
	Name     string
	Eps      float32 `json:"group_norm_eps"`
	Expected string  `json:"expected_logits"` // rwkv.cpp's own, unquantized, after the first prompt
	// How far a sum of such logits may lie from that of the expected ones.
	Sum struct{ FP32 float64 } `json:"expected_difference_sum"`
	// How far it did lie with rwkv.cpp's own quantization, by type.
	Sums struct {
		FP32 map[string]float64 `json:"from_FP32"`
	} `json:"expected_difference_sum_quantised"`
	Files map[string]struct {
		Path      string
		Expected  string `json:"expected_dequantised"`
		Tolerance struct {
			CPU float64 `json:"cpu_f32"`
			GPU float64 `json:"gpu_f32"`
		} `json:"tolerance_vs_expected_dequantised"`
	}
}

// options are those to open the model with: RWKV-6 and 7 have one epsilon only.
func (q *cppTiny) options() (o model.Options) {
	if q.Eps == 1e-5 {
		o.GroupNormEps = q.Eps
	}
	return o
}

// tiny returns the path of a model's file of a type, "" if there is none.
func (m *cppManifest) tiny(q *cppTiny, typ string) string {
	at := fmt.Sprintf("rwkv.cpp-tiny/tiny-rwkv-%s-%s.bin", q.Name, typ)
	if slices.ContainsFunc(m.All, func(f struct{ Path string }) bool { return f.Path == at }) {
		return at
	}
	return ""
}

// tolerance returns how far logits may lie from those expected of the model's dequantised files, which is the same for
// all.
func (q *cppTiny) tolerance(gpu bool) (most float64) {
	for _, f := range q.Files {
		if most = f.Tolerance.CPU; gpu {
			most = f.Tolerance.GPU
		}
	}
	return most
}

// cppFile is a file of rwkv.cpp with what to expect of it.
type cppFile struct {
	name, path string
	expected   string // file of the original implementation's logits on the dequantised weights, or ""
	options    model.Options
	prompts    map[string][]int
	tolerance  func(prompt string) float64
	last       string  // rwkv.cpp's own logits with the file after the prompt named "prompt", or ""
	sum        float64 // most that the sum of logits may be off after that prompt; 0 for no rule
}

// RunRWKVCpp compares the files that rwkv.cpp's own tools wrote and quantized, those whose type want accepts (FP32,
// Q4_0, …), with the original implementation on the same weights, and where rwkv.cpp has its own unquantized logits
// with those. Where nobody else has logits, dequantised weights are to give the same as blocks. The logits of tiny
// models keep rwkv.cpp's rule for unquantized files besides, about the sum of the differences. Its rule for quantized
// ones is about products that are not exact: see RunRWKVCppRule.
func RunRWKVCpp(t *testing.T, gpu bool, want func(typ string) bool, open Open) {
	reference.Numbers(t)
	var m cppManifest
	readManifest(t, &m)
	tried := 0
	for _, f := range m.files(gpu, want) {
		t.Run(f.name, func(t *testing.T) { f.run(t, open) })
		tried++
	}
	if tried == 0 {
		t.Error("no file")
	}
}

func (m *cppManifest) files(gpu bool, want func(typ string) bool) (list []cppFile) {
	for _, q := range m.Quantized {
		for typ, f := range q.Files {
			if !want(typ) {
				continue
			}
			list = append(list, cppFile{name: q.Name + "/" + typ, path: f.Path, expected: f.Expected, prompts: q.Prompts,
				tolerance: func(prompt string) float64 {
					if gpu {
						return 10 * f.Info[prompt].Tolerance // as the manifest has it elsewhere
					}
					return f.Info[prompt].Tolerance
				}})
		}
	}
	for i := range m.Tiny.Models {
		q := &m.Tiny.Models[i]
		for _, typ := range []string{"FP32", "FP16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"} {
			path := m.tiny(q, typ)
			if path == "" || !want(typ) {
				continue
			}
			c := cppFile{name: q.Name + "/" + typ, path: path, expected: q.Files[typ].Expected, options: q.options(),
				prompts:   map[string][]int{"prompt": m.Tiny.Prompt, "prompt2": m.Tiny.Prompt2},
				tolerance: func(string) float64 { return q.tolerance(gpu) }, sum: 1.05 * q.Sum.FP32}
			if typ == "FP32" {
				c.last = q.Expected
			}
			list = append(list, c)
		}
	}
	return list
}

func (f *cppFile) run(t *testing.T, open Open) {
	m, err := model.OpenWith(Path(t, f.path), f.options)
	must(t, err)
	defer func() { _ = m.Close() }()
	longest := 0
	for _, tokens := range f.prompts {
		longest = max(longest, len(tokens))
	}
	sizes := op.Sizes{Slots: 1, Rows: longest, Seqs: 1, Outs: longest}
	e := open(t, m, sizes)
	var plain op.Executor
	if f.expected == "" {
		plain = f.dequantised(t, sizes, open)
	}
	for name, tokens := range f.prompts {
		var want []float32
		if plain != nil {
			must(t, plain.ResetState(0))
			want = slices.Concat(Logits(t, plain, 0, tokens, 0)...)
		} else {
			want = f.expect(t, name)
		}
		for _, chunk := range []int{0, 7} {
			must(t, e.ResetState(0))
			logits := Logits(t, e, 0, tokens, chunk)
			for i, got := range logits {
				checkClose(t, fmt.Sprintf("%s: logits %d in chunks of %d", name, i, chunk), got, want[i*m.Vocab:(i+1)*m.Vocab],
					f.tolerance(name), 0)
			}
			if name != "prompt" {
				continue
			}
			last := logits[len(logits)-1]
			f.checkSum(t, last, want[len(want)-m.Vocab:])
			if f.last != "" {
				own := floats(t, Path(t, f.last))
				checkClose(t, "rwkv.cpp's own logits", last, own, f.tolerance(name), 0)
				f.checkSum(t, last, own)
			}
		}
	}
}

// expect returns the original implementation's logits after every token of a prompt.
func (f *cppFile) expect(t *testing.T, prompt string) []float32 {
	file, err := weights.Open(Path(t, f.expected))
	must(t, err)
	defer func() { _ = file.Close() }()
	x, err := file.Tensor(prompt + ".logits.all")
	must(t, err)
	want, err := x.Floats()
	must(t, err)
	return want
}

// dequantised returns an executor of the file's model that gets float32 in place of blocks.
func (f *cppFile) dequantised(t *testing.T, s op.Sizes, open Open) op.Executor {
	m, err := model.OpenWith(Path(t, f.path), f.options)
	must(t, err)
	t.Cleanup(func() { _ = m.Close() })
	replaced := 0
	for _, w := range m.Program.Of(op.Weight) {
		if !w.Source.Type.IsBlock() {
			continue
		}
		x, err := w.Source.Floats()
		must(t, err)
		w.Source = tensor.FromFloats(w.Source.Name, w.Source.Shape, x)
		replaced++
	}
	if replaced == 0 {
		t.Fatal("no blocks")
	}
	return open(t, m, s)
}

func (f *cppFile) checkSum(t *testing.T, got, want []float32) {
	t.Helper()
	if d := difference(got, want); f.sum != 0 && !(math.Abs(d) <= f.sum) {
		t.Errorf("sum of the differences between logits: want at most %v, got %v", f.sum, d)
	}
}

// difference returns the sum of the differences between two lots of logits.
func difference(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) - float64(b[i])
	}
	return sum
}

// floats reads a file of little-endian float32.
func floats(t *testing.T, path string) []float32 {
	data, err := os.ReadFile(path)
	must(t, err)
	f := make([]float32, len(data)/4)
	tensor.F32.Decode(f, data)
	return f
}
