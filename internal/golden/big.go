package golden

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

const bigDir, bigSpec, bigExpected = "big_v7", "spec.json", "expected.safetensors"

// bigModel is a model of real proportions that is given by a formula.
type bigModel struct {
	Version string
	Layers  int `json:"n_layer"`
	Embed   int `json:"n_embd"`
	Head    int `json:"head_size"`
	Vocab   int `json:"n_vocab"`
	FFN     int `json:"n_ffn"`
	Seed    uint64
	Tensors []bigTensor
	Runs    map[string]struct {
		Tokens []int
		Argmax int
		Margin float64 `json:"top1_margin"`
	}
	Tolerance struct {
		CPU float64 `json:"f32_cpu"`
		GPU float64 `json:"f32_gpu"`
	}
}

type bigTensor struct {
	Name   string
	Shape  []int
	Scale  float32
	Offset json.RawMessage // a number, or "ramp"
	Sum    string          `json:"sha256_bf16_le"`
}

// RunBig builds the model that the reference data gives by a formula, 12 layers of 768 with a vocabulary of 65536, and
// compares parts of its logits and states with the original implementation's. gpu chooses the tolerance.
func RunBig(t *testing.T, gpu bool, open Open) {
	if testing.Short() {
		t.Skip("a model of 190 million weights")
	}
	data, err := os.ReadFile(reference.Shared(t, "vectors", bigDir, bigSpec))
	must(t, err)
	var big bigModel
	must(t, json.Unmarshal(data, &big))
	f, err := weights.Parse(bigDir, big.file(t))
	must(t, err)
	m, err := model.New(f)
	must(t, err)
	if got := m.Config; got.Version != big.Version || got.Layers != big.Layers || got.Embed != big.Embed ||
		got.HeadSize != big.Head || got.Vocab != big.Vocab || got.FFN != big.FFN {
		t.Errorf("want the sizes of the specification, got %s", &got)
	}
	expected := readAny(t, Path(t, path.Join(bigDir, bigExpected)))
	const rows = 64
	e := open(t, m, op.Sizes{Slots: 1, Rows: rows, Seqs: 1, Outs: rows})
	tolerance := big.Tolerance.CPU
	if gpu {
		tolerance = big.Tolerance.GPU
	}
	if len(big.Runs) == 0 {
		t.Error("no run")
	}
	for name, r := range big.Runs {
		t.Run(name, func(t *testing.T) {
			of := func(what string) wantedTensor { return expected.get(t, name+"."+what) }
			every := expected[name+".argmax_every_token"].ints
			must(t, e.ResetState(0))
			logits := bigLogits(t, e, r.Tokens, rows, len(every) > 0)
			last := logits[len(logits)-1]
			var strided []float32
			for i := 0; i < len(last); i += 64 {
				strided = append(strided, last[i])
			}
			checkClose(t, "every 64th logit", strided, of("logits_stride_64").floats, tolerance, 0)
			var top []float32
			for _, id := range of("top64_ids").ints {
				top = append(top, last[id])
			}
			checkClose(t, "the 64 largest logits", top, of("top64_logits").floats, tolerance, 0)
			if id, margin := argmax(last); id != r.Argmax && r.Margin > 2*tolerance {
				t.Errorf("likeliest token: want %d by %v, got %d by %v", r.Argmax, r.Margin, id, margin)
			}
			for i, want := range every {
				if id, margin := argmax(logits[i]); id != want && margin > 2*tolerance {
					t.Errorf("likeliest token after %d: want %d, got %d by %v", i, want, id, margin)
				}
			}
			state := make([]float32, m.Program.StateLen())
			must(t, e.ReadState(0, state))
			bigState(t, m, state, "att_x", 0, 0, of("state_att_x_layer0").floats)
			bigState(t, m, state, "ffn_x", 11, 0, of("state_ffn_x_layer11").floats)
			bigState(t, m, state, "att_kv", 11, 5*big.Head*big.Head, of("state_att_kv_layer11_head5").floats)
		})
	}
}

// bigState compares a part of a field of the state, with the tolerance that the manifest has for states elsewhere.
func bigState(t *testing.T, m *model.Model, state []float32, field string, layer, off int, want []float32) {
	t.Helper()
	for _, f := range m.Fields {
		if f.Name == field && f.Layer == layer {
			checkClose(t, fmt.Sprintf("%s of layer %d from %d on", field, layer, off), state[f.Off+off:][:len(want)], want, 1e-3, 1e-4)
			return
		}
	}
	t.Errorf("no field %s in layer %d", field, layer)
}

// bigLogits feeds tokens in chunks and returns the logits after each token, or only the last.
func bigLogits(t *testing.T, e op.Executor, tokens []int, chunk int, every bool) [][]float32 {
	t.Helper()
	var all [][]float32
	var b op.Batch
	for part := range slices.Chunk(tokens, chunk) {
		wanted := 1
		if every {
			wanted = len(part)
		}
		b.Reset()
		b.Add(0, part, wanted)
		must(t, e.Forward(&b))
		for i := range wanted {
			all = append(all, slices.Clone(e.Logits(i)))
		}
	}
	return all
}

// argmax returns the index of the largest value, and by how much it is larger than the others.
func argmax(x []float32) (at int, margin float64) {
	second := -1
	for i := range x {
		switch {
		case x[i] > x[at]:
			at, second = i, at
		case i != at && (second < 0 || x[i] > x[second]):
			second = i
		}
	}
	return at, float64(x[at]) - float64(x[second])
}

// file returns the model as a safetensors file, every tensor checked by its sum.
func (b *bigModel) file(t *testing.T) []byte {
	t.Helper()
	var header []string
	size := 0
	for _, x := range b.Tensors {
		n := 2 * x.len()
		shape := strings.ReplaceAll(strings.Trim(fmt.Sprint(x.Shape), "[]"), " ", ",")
		header = append(header, fmt.Sprintf(`%q:{"dtype":"BF16","shape":[%s],"data_offsets":[%d,%d]}`, x.Name, shape, size, size+n))
		size += n
	}
	text := "{" + strings.Join(header, ",") + "}"
	file := make([]byte, 8+len(text)+size)
	binary.LittleEndian.PutUint64(file, uint64(len(text)))
	at := 8 + copy(file[8:], text)
	var wait sync.WaitGroup
	for _, x := range b.Tensors {
		data := file[at : at+2*x.len()]
		at += len(data)
		wait.Add(1)
		go func() {
			defer wait.Done()
			x.fill(data, b.Seed)
			if sum := fmt.Sprintf("%x", sha256.Sum256(data)); sum != x.Sum {
				t.Errorf("%s: the formula is not followed: want SHA-256 %s, got %s", x.Name, x.Sum, sum)
			}
		}()
	}
	wait.Wait()
	return file
}

func (x *bigTensor) len() int {
	n := 1
	for _, d := range x.Shape {
		n *= d
	}
	return n
}

// fill writes the elements as BF16: SplitMix64 seeded by the name, scaled and shifted. A ramp's shift grows by channel.
func (x *bigTensor) fill(data []byte, seed uint64) {
	const step = 0x9E3779B97F4A7C15
	h := fnv.New64a()
	_, _ = h.Write([]byte(x.Name)) // never fails
	s := h.Sum64() ^ seed*step
	var offset float32
	ramp := json.Unmarshal(x.Offset, &offset) != nil
	for i := range len(data) / 2 {
		s += step
		z := s
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		z ^= z >> 31
		f := float32(z>>40)*(1.0/(1<<23)) - 1
		if ramp {
			offset = float32(i)*(9.0/1024) - 6.5
		}
		v := float32(f * x.Scale)
		binary.LittleEndian.PutUint16(data[2*i:], tensor.FloatToBF16(v+offset))
	}
}

// wantedTensor is an array of a file of expectations.
type wantedTensor struct {
	floats []float32
	ints   []int
}

type wantedTensors map[string]wantedTensor

func (w wantedTensors) get(t *testing.T, name string) wantedTensor {
	t.Helper()
	x, ok := w[name]
	if !ok {
		t.Fatalf("no tensor %s is expected", name)
	}
	return x
}

// readAny reads a safetensors file of F32 and I32, the second of which models do not have.
func readAny(t *testing.T, path string) wantedTensors {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	n := binary.LittleEndian.Uint64(data)
	var header map[string]struct {
		Dtype   string
		Offsets [2]int `json:"data_offsets"`
	}
	must(t, json.Unmarshal(data[8:8+n], &header))
	all := wantedTensors{}
	for name, h := range header {
		raw := data[8+int(n):][h.Offsets[0]:h.Offsets[1]]
		var x wantedTensor
		switch h.Dtype {
		case "F32":
			x.floats = make([]float32, len(raw)/4)
			tensor.F32.Decode(x.floats, raw)
		case "I32":
			for i := 0; i < len(raw); i += 4 {
				x.ints = append(x.ints, int(int32(binary.LittleEndian.Uint32(raw[i:]))))
			}
		default:
			t.Fatalf("%s: %s of type %s", path, name, h.Dtype)
		}
		all[name] = x
	}
	return all
}
