package lora_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/lora"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// floats returns the numbers of the named tensor.
func floats(t *testing.T, list []*tensor.Tensor, name string) []float32 {
	t.Helper()
	x, err := list[weightstest.Index(t, list, name)].Floats()
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func parse(t *testing.T, tensors []*tensor.Tensor) *weights.File {
	t.Helper()
	f, err := weights.Parse("made.safetensors", weightstest.Safetensors(tensors, nil))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// merged returns a file of tensors with changes, and what they changed.
func merged(t *testing.T, base []*tensor.Tensor, list ...lora.File) (*weights.File, []lora.Merge) {
	t.Helper()
	return apply(t, parse(t, base), list...)
}

func at(path string, scale float32) lora.File { return lora.File{Path: path, Scale: scale} }

func apply(t *testing.T, base *weights.File, list ...lora.File) (*weights.File, []lora.Merge) {
	t.Helper()
	f, merges, err := lora.Apply(base, list)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f, merges
}

func loaded(t *testing.T, f *weights.File, name string) (tensor.Type, []float32) {
	t.Helper()
	x := f.Tensors[name]
	y, err := x.Floats()
	if err != nil {
		t.Fatal(err)
	}
	return x.Type, y
}

// precision is half the distance of neighbours of 1.
var precision = map[tensor.Type]float64{tensor.F32: 0x1p-24, tensor.F16: 0x1p-11, tensor.BF16: 0x1p-8}

// Every matrix of every version is W + s B A, in float64, rounded once to the type that it is stored in; everything
// else keeps its bytes.
func TestLoRA(t *testing.T) {
	types := []tensor.Type{tensor.F32, tensor.F16, tensor.BF16}
	i := 0
	for _, version := range weightstest.Versions {
		typ := types[i%len(types)]
		i++
		base := weightstest.RWKV(version, weightstest.Tiny, typ, 1)
		file := weightstest.LoRA(base, 3, tensor.BF16, 2)
		const scale = 1.75
		m, merges := merged(t, base, at(weightstest.Write(t, "l.pth", file), scale))
		if got := merges[0]; got.Changed != len(file)/2 || got.Replaced != 0 || !slices.Equal(got.Ranks, []int{3}) {
			t.Errorf("%s: %+v", version, got)
		}
		for _, x := range base {
			gotType, got := loaded(t, m, x.Name)
			want := floats(t, base, x.Name)
			if gotType != typ {
				t.Errorf("%s: %s is %s", version, x.Name, gotType)
			}
			prefix := strings.TrimSuffix(x.Name, "weight")
			if !slices.ContainsFunc(file, func(x *tensor.Tensor) bool { return x.Name == prefix+"lora_A" }) {
				if !slices.Equal(got, want) {
					t.Errorf("%s: %s changed", version, x.Name)
				}
				continue
			}
			a, b := floats(t, file, prefix+"lora_A"), floats(t, file, prefix+"lora_B")
			for i, w := range want {
				row, col := i/x.Shape[1], i%x.Shape[1]
				y := float64(w)
				for r := range 3 {
					y += scale * float64(b[row*3+r]) * float64(a[r*x.Shape[1]+col])
				}
				if d := math.Abs(float64(got[i]) - y); d > math.Abs(y)*precision[typ]+1e-5 && typ == tensor.F32 || d > math.Abs(y)*precision[typ]*1.01+1e-6 && typ != tensor.F32 {
					t.Fatalf("%s: %s [%d %d]: want %v, got %v", version, x.Name, row, col, y, got[i])
				}
			}
		}
	}
}

// scriptSize is the size of the model that testdata/merged was made from.
var scriptSize = weightstest.Size{Vocab: 5, Embed: 12, Layers: 1, Head: 4, FFN: 20, W: 2, A: 2, V: 2, G: 2}

// scriptFiles returns the LoRAs that testdata/merged was made from.
func scriptFiles(base []*tensor.Tensor) map[string][][]*tensor.Tensor {
	start := weightstest.LoRA(base, 4, tensor.F32, 3)
	for i, x := range start {
		start[i] = weightstest.Renamed(x, strings.Replace(x.Name, "lora_", "init_lora_", 1))
	}
	return map[string][][]*tensor.Tensor{
		"lora":  {weightstest.LoRA(base, 4, tensor.F32, 2)},
		"pissa": {start, weightstest.LoRA(base, 4, tensor.F32, 2)},
		"bone":  {weightstest.Bone(base, 5, tensor.F32, 4)},
		"bat":   {weightstest.Bat(base, 4, tensor.F32, 5)},
	}
}

// The matrices that RWKV-PEFT's merge_lora.py (with alpha 6), merge_pissa.py and merge_disha.py make are those that are
// loaded. RWKV_MERGE_INPUTS names a directory to write the scripts' inputs to.
func TestMergeScripts(t *testing.T) {
	base := weightstest.RWKV7(scriptSize, tensor.F32, 1)
	in := os.Getenv("RWKV_MERGE_INPUTS")
	if in != "" {
		write(t, filepath.Join(in, "base.safetensors"), base)
	}
	for name, files := range scriptFiles(base) {
		var loras []lora.File
		scale := map[bool]float32{true: 6.0 / 4, false: 1}[name == "lora"]
		for i, f := range files {
			loras = append(loras, at(weightstest.Write(t, name+".safetensors", f), scale))
			if in != "" {
				write(t, filepath.Join(in, fmt.Sprintf("%s%d.safetensors", name, i)), f)
			}
		}
		want, err := weights.Open(filepath.Join("testdata", "merged", name+".safetensors"))
		if err != nil {
			t.Error(err)
			continue
		}
		m, merges := merged(t, base, loras...)
		tolerance := 1e-6
		if name == "pissa" {
			tolerance = 0x1p-7 // the script rounds to bfloat16 twice
		}
		if n := merges[0].Changed; n != len(want.Tensors) {
			t.Errorf("%s: want %d matrices changed, got %d", name, len(want.Tensors), n)
		}
		for _, n := range want.Names() {
			w, err := want.Tensors[n].Floats()
			if err != nil {
				t.Fatal(err)
			}
			_, got := loaded(t, m, n)
			for i := range w {
				if math.Abs(float64(got[i]-w[i])) > tolerance*(1+math.Abs(float64(w[i]))) {
					t.Fatalf("%s: %s: element %d: want %v, got %v", name, n, i, w[i], got[i])
				}
			}
		}
		_ = want.Close()
	}
}

func write(t *testing.T, path string, tensors []*tensor.Tensor) {
	t.Helper()
	if err := os.WriteFile(path, weightstest.Safetensors(tensors, nil), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What a LoRA brings whole takes the place of the model's, in its own type, and what it adds is added to that; several
// are merged in order.
func TestLoRAReplaces(t *testing.T) {
	base := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	other := weightstest.RWKV7(weightstest.Tiny, tensor.F32, 9)
	const norm, matrix = "blocks.1.ln1.weight", "blocks.0.att.key.weight"
	file := append(weightstest.LoRA(base[:0:0], 1, tensor.F32, 1), other[weightstest.Index(t, other, norm)], other[weightstest.Index(t, other, matrix)],
		weightstest.Ones("blocks.0.att.key.lora_A", 2, 32), weightstest.Ones("blocks.0.att.key.lora_B", 32, 2))
	m, merges := merged(t, base, at(weightstest.Write(t, "a.st", file), 0.25), at(weightstest.Write(t, "b.st", file[2:]), 1))
	if typ, got := loaded(t, m, norm); typ != tensor.F32 || !slices.Equal(got, floats(t, other, norm)) {
		t.Errorf("%s is not the LoRA's", norm)
	}
	_, got := loaded(t, m, matrix)
	for i, w := range floats(t, other, matrix) {
		if want := w + 0.25*2 + 2; math.Abs(float64(got[i]-want)) > 1e-6 {
			t.Fatalf("element %d: want %v, got %v", i, want, got[i])
		}
	}
	if merges[0].Replaced != 2 || merges[1].Replaced != 0 || merges[1].Changed != 1 {
		t.Errorf("%+v", merges)
	}
}

// A LoRA that web-rwkv's converter renamed and transposed is the same, and so is one whose names begin with the module
// that training wraps a model in, as those of PiSSA's start do.
func TestLoRANames(t *testing.T) {
	base := weightstest.RWKV7(weightstest.Tiny, tensor.F32, 1)
	file := weightstest.LoRA(base, 3, tensor.F16, 2)
	a, _ := merged(t, base, at(weightstest.Write(t, "a.st", file), 2))
	var prefixed []*tensor.Tensor
	for i, x := range file {
		prefixed = append(prefixed, weightstest.Renamed(x, "model."+x.Name))
		name := strings.NewReplacer("lora_A", "lora.0", "lora_B", "lora.1").Replace(x.Name)
		if file[i] = weightstest.Renamed(x, name); strings.HasSuffix(name, ".0") {
			file[i] = x.Transposed()
			file[i].Name = name
		}
	}
	b, _ := merged(t, base, at(weightstest.Write(t, "b.st", file), 2))
	c, _ := merged(t, base, at(weightstest.Write(t, "c.pth", prefixed), 2))
	for name := range a.Tensors {
		_, x := loaded(t, a, name)
		_, y := loaded(t, b, name)
		if _, z := loaded(t, c, name); !slices.Equal(x, y) || !slices.Equal(x, z) {
			t.Errorf("%s differs", name)
		}
	}
}

// A matrix stored in blocks becomes F16 once changed.
func TestLoRAOnBlocks(t *testing.T) {
	base := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	const name = "blocks.0.ffn.value.weight"
	i := weightstest.Index(t, base, name)
	base[i] = weightstest.Blocks(name, tensor.Q5_1, 1, base[i].Shape...)
	f, err := weights.Parse("made.gguf", weightstest.GGUF(weightstest.LlamaMeta(weightstest.Tiny), weightstest.Llama(base)))
	if err != nil {
		t.Fatal(err)
	}
	old, err := f.Tensors[name].Floats()
	if err != nil {
		t.Fatal(err)
	}
	file := []*tensor.Tensor{weightstest.Ones("blocks.0.ffn.value.lora_A", 2, 96), weightstest.Ones("blocks.0.ffn.value.lora_B", 32, 2)}
	m, merges := apply(t, f, at(weightstest.Write(t, "l.st", file), 0.5))
	typ, got := loaded(t, m, name)
	if typ != tensor.F16 || !slices.Equal(merges[0].Widened, []string{name}) {
		t.Errorf("%s, %+v", typ, merges)
	}
	for i, w := range old {
		if want := float64(w) + 1; math.Abs(float64(got[i])-want) > math.Abs(want)*0x1p-11+1e-6 {
			t.Fatalf("element %d: want %v, got %v", i, want, got[i])
		}
	}
}

// A weight that a file holds divided takes a divided change.
func TestLoRARescaled(t *testing.T) {
	base := weightstest.RWKV("v6", weightstest.Tiny, tensor.F32, 1)
	file := append(weightstest.LoRA(base, 2, tensor.F32, 2), weightstest.Ones("blocks.1.ffn.value.weight", 32, 96))
	plain, _ := merged(t, base, at(weightstest.Write(t, "a.st", file), 1))
	f := parse(t, base)
	f.RescaleEvery = 1
	m, _ := apply(t, f, at(weightstest.Write(t, "a.st", file), 1))
	for name, d := range map[string]float32{"blocks.1.att.output.weight": 2, "blocks.1.ffn.value.weight": 2, "blocks.0.att.output.weight": 1, "blocks.1.att.key.weight": 1} {
		_, x := loaded(t, plain, name)
		_, y := loaded(t, m, name)
		stored := floats(t, base, name)
		whole := name == "blocks.1.ffn.value.weight"
		for i := range x {
			was := stored[i]
			if whole {
				was = 0
			}
			want := was + (x[i]-was)/d
			if math.Abs(float64(y[i]-want)) > 1e-5 {
				t.Fatalf("%s: element %d: want %v, got %v", name, i, want, y[i])
			}
		}
	}
}

// Quantizing comes after merging: the program has the blocks of the model that was merged ahead.
func TestLoRAQuantized(t *testing.T) {
	base := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	l := at(weightstest.Write(t, "l.pth", weightstest.LoRA(base, 2, tensor.F16, 1)), 0.5)
	plain, _ := merged(t, base, l)
	ahead := slices.Clone(base)
	for i, x := range base {
		ahead[i] = plain.Tensors[x.Name]
	}
	var programs [2][]*op.Operand
	for i, f := range []*weights.File{plain, parse(t, ahead)} {
		m, err := model.NewWith(f, model.Options{Quant: tensor.Q8_0})
		if err != nil {
			t.Fatal(err)
		}
		programs[i] = m.Program.Of(op.Weight)
	}
	blocks := 0
	for i, a := range programs[0] {
		x, err := a.Source.Load()
		if err != nil {
			t.Fatal(err)
		}
		y, err := programs[1][i].Source.Load()
		if err != nil {
			t.Fatal(err)
		}
		if a.Source.Type != programs[1][i].Source.Type || !bytes.Equal(x, y) {
			t.Errorf("%s differs", a)
		}
		if a.Source.Type == tensor.Q8_0 {
			blocks++
		}
	}
	if blocks == 0 {
		t.Error("nothing was quantized")
	}
}
