package golden

import (
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

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
			}
		}
	} `json:"quantized_rwkv_cpp"`
	Tiny struct {
		Prompt  []int `json:"prompt_tokens"`
		Prompt2 []int `json:"prompt2_tokens"`
		Models  []struct {
			Name     string
			Eps      float32 `json:"group_norm_eps"`
			Expected string  `json:"expected_logits"`
			// How far the sum of the logits of rwkv.cpp's own quantization lies from that of its unquantized ones, by type.
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
	} `json:"rwkv_cpp_tiny"`
	All []struct{ Path string } `json:"all_files"`
}

// cppFile is a file of rwkv.cpp with what to expect of it.
type cppFile struct {
	name, path, expected string
	options              model.Options
	prompts              map[string][]int
	tolerance            func(prompt string) float64
	last                 string  // rwkv.cpp's own unquantized logits after the prompt named "prompt", or ""
	sum                  float64 // of the differences to them that rwkv.cpp had with the file; 0 if they are the file's own
}

// RunRWKVCpp compares the files that rwkv.cpp's own tools wrote and quantized, those whose type want accepts (FP32, Q4_0,
// …), with the original implementation on the same weights, and where rwkv.cpp has its own logits with those.
func RunRWKVCpp(t *testing.T, gpu bool, want func(typ string) bool, open Open) {
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
	for _, q := range m.Tiny.Models {
		for typ, f := range q.Files {
			if !want(typ) || f.Expected == "" {
				continue
			}
			c := cppFile{name: q.Name + "/" + typ, path: f.Path, expected: f.Expected, options: model.Options{GroupNormEps: q.Eps},
				prompts:   map[string][]int{"prompt": m.Tiny.Prompt, "prompt2": m.Tiny.Prompt2},
				tolerance: func(string) float64 { return f.Tolerance.CPU }}
			if gpu {
				c.tolerance = func(string) float64 { return f.Tolerance.GPU }
			}
			if q.Eps != 1e-5 { // RWKV-6 and 7 have one epsilon only
				c.options = model.Options{}
			}
			c.last, c.sum = q.Expected, q.Sums.FP32[typ] // which has no sum for FP32
			list = append(list, c)
		}
	}
	return append(list, m.unexpected(want)...)
}

// unexpected returns the files of rwkv.cpp's tests that lie beside those the manifest has expectations for: it has only
// the sums for them.
func (m *cppManifest) unexpected(want func(typ string) bool) (list []cppFile) {
	for _, q := range m.Tiny.Models {
		for typ, sum := range q.Sums.FP32 {
			at := fmt.Sprintf("rwkv.cpp-tiny/tiny-rwkv-%s-%s.bin", q.Name, typ)
			there := slices.ContainsFunc(m.All, func(f struct{ Path string }) bool { return f.Path == at })
			if _, ok := q.Files[typ]; ok || !there || !want(typ) {
				continue
			}
			c := cppFile{name: q.Name + "/" + typ, path: at, prompts: map[string][]int{"prompt": m.Tiny.Prompt}, last: q.Expected, sum: sum}
			if q.Eps == 1e-5 {
				c.options.GroupNormEps = q.Eps
			}
			list = append(list, c)
		}
	}
	return list
}

// bySum holds a quantized file to rwkv.cpp's own rule: the differences between its logits and those of the unquantized
// model have a sum of at most 1.05 times what rwkv.cpp had. That figure is of a CPU that rounds activations to 8 bits, so a
// mean difference of 1e-4 is allowed besides. Where nothing else is expected of a file, the sum has to be near rwkv.cpp's,
// and not only as small.
func (f *cppFile) bySum(t *testing.T, logits []float32) {
	t.Helper()
	var sum float64
	for i, want := range floats(t, Path(t, f.last)) {
		sum += float64(logits[i]) - float64(want)
	}
	rounding := 1e-4 * float64(len(logits))
	far := f.expected == "" && math.Abs(sum-f.sum) > 0.25*math.Abs(f.sum)+rounding
	if most := 1.05*math.Abs(f.sum) + rounding; math.IsNaN(sum) || math.Abs(sum) > most || far {
		t.Errorf("sum of the differences to the unquantized model's logits: want about %v, at most %v, got %v", f.sum, most, sum)
	}
}

func (f *cppFile) run(t *testing.T, open Open) {
	m, err := model.OpenWith(Path(t, f.path), f.options)
	must(t, err)
	defer func() { _ = m.Close() }()
	longest := 0
	for _, tokens := range f.prompts {
		longest = max(longest, len(tokens))
	}
	e := open(t, m, op.Sizes{Slots: 1, Rows: longest, Seqs: 1, Outs: longest})
	if f.expected == "" {
		for _, chunk := range []int{0, 1} { // as upstream: as a sequence, and token by token
			must(t, e.ResetState(0))
			logits := Logits(t, e, 0, f.prompts["prompt"], chunk)
			f.bySum(t, logits[len(logits)-1])
		}
		return
	}
	expected, err := weights.Open(Path(t, f.expected))
	must(t, err)
	defer func() { _ = expected.Close() }()
	for name, tokens := range f.prompts {
		x, err := expected.Tensor(name + ".logits.all")
		must(t, err)
		want, err := x.Floats()
		must(t, err)
		for _, chunk := range []int{0, 7} {
			must(t, e.ResetState(0))
			logits := Logits(t, e, 0, tokens, chunk)
			for i, got := range logits {
				checkClose(t, fmt.Sprintf("%s: logits %d in chunks of %d", name, i, chunk), got, want[i*m.Vocab:(i+1)*m.Vocab],
					f.tolerance(name), 0)
			}
			switch last := logits[len(logits)-1]; {
			case name != "prompt" || f.last == "":
			case f.sum == 0:
				checkClose(t, "rwkv.cpp's own logits", last, floats(t, Path(t, f.last)), f.tolerance(name), 0)
			default:
				f.bySum(t, last)
			}
		}
	}
}

// floats reads a file of little-endian float32.
func floats(t *testing.T, path string) []float32 {
	data, err := os.ReadFile(path)
	must(t, err)
	f := make([]float32, len(data)/4)
	tensor.F32.Decode(f, data)
	return f
}
