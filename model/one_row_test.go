package model_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/convert"
	"github.com/rwkv-gpu/rwkv-gpu/model/lora"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A row of the version table is all that a version needs: models of one that no other file has heard of are recognised,
// checked, quantized, changed by LoRAs, written and read again, begun with and kept as states.
func TestOneRow(t *testing.T) {
	model.UseMadeUp(t)
	list := slices.Clone(weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1))
	for _, l := range []string{"0", "1"} {
		list = append(list, weightstest.Ones("blocks."+l+".ffn.x_v", 1, 1, 32))
	}
	path := weightstest.Write(t, "m.pth", list)
	f, err := weights.Open(path)
	must(t, err)
	f, merges, err := lora.Apply(f, []lora.File{{Path: weightstest.Write(t, "l.pth", weightstest.LoRA(list, 2, tensor.F16, 1)), Scale: 1}})
	must(t, err)
	m, err := model.NewWith(f, model.Options{Quant: tensor.Q8_0})
	must(t, err)
	defer func() { _ = m.Close() }()
	if m.Version != "made-up" || len(m.Unused) > 0 || merges[0].Changed != 12 || len(m.QuantTypes(tensor.Q8_0)) != 13 || !strings.Contains(model.Supported(), "made-up") {
		t.Errorf("%s, unused %v, %+v, quantized %v", m.Version, m.Unused, merges, m.Quantized)
	}
	for _, w := range m.Program.Of(op.Weight) {
		_, err := w.Source.Load()
		must(t, err)
	}

	e, err := convert.Safetensors(m, 0)
	must(t, err)
	out := filepath.Join(t.TempDir(), "out.safetensors")
	must(t, e.Save(out, false, nil))
	i := slices.IndexFunc(e.Tensors, func(s weights.Stored) bool { return s.Name == "blocks.1.ffn.x_v" })
	back, err := model.Open(out)
	must(t, err)
	defer func() { _ = back.Close() }()
	if i < 0 || !slices.Equal(e.Tensors[i].Shape, []int{1, 1, 32}) || back.Version != m.Version || len(back.File.Names()) != len(list) {
		t.Errorf("written as %s with %d tensors, %v", back.Version, len(back.File.Names()), e.Tensors[max(i, 0)])
	}
	if _, err := convert.GGUF(m, convert.GGUFOptions{}); err == nil || !strings.Contains(err.Error(), "version: want v6 or v7, which are all that GGUF has names for, got made-up") {
		t.Errorf("GGUF: %v", err)
	}

	kept := filepath.Join(t.TempDir(), "s.st")
	want := &state.State{Data: make([]float32, m.Program.StateLen()), Tokens: 3, Pending: 2}
	want.Data[1] = 0.5
	must(t, state.Write(m, kept, want, false))
	got, _, err := state.Begin(m, kept, "")
	must(t, err)
	if got.Tokens != 3 || got.Pending != 2 || !slices.Equal(got.Data, want.Data) {
		t.Errorf("another state: %+v", got)
	}
	if _, err := state.Read(back, kept); err == nil || !strings.Contains(err.Error(), "model_id: want") {
		t.Errorf("the state of other weights: %v", err)
	}

	// Without the row the new tensor is company, and with it, in an older model, an addition.
	seven := slices.DeleteFunc(list, func(x *tensor.Tensor) bool { return x.Name == "blocks.0.ffn.x_v" })
	_, err = model.Open(weightstest.Write(t, "seven.st", seven))
	if want := "tensor blocks.1.ffn.x_v: want only what RWKV-7 computes, got a part of RWKV-made-up"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("want %q, got %v", want, err)
	}
}

// named are the files beside the rows themselves that may name versions, as CONTRIBUTING.md lists them: they make
// models up for tests, or know the reference data.
var named = []string{"model/weights/weightstest/rwkv.go", "internal/golden/synthetic.go", "internal/golden/run.go",
	"internal/golden/manifest.go", "internal/golden/field.go", "internal/golden/rwkvcpp_rule.go", "shaders/internal/mutants/cases.go"}

// No code but the rows, and what makes models up for tests, names a version: what differs between versions stands in
// the table. CONTRIBUTING.md lists the files that adding one takes.
func TestVersionsAreNamedOnce(t *testing.T) {
	root := reference.Root(t)
	names := strings.Split(model.Supported(), ", ")
	for i, n := range names {
		names[i] = regexp.QuoteMeta(n)
	}
	literal := regexp.MustCompile(`"(` + strings.Join(names, "|") + `)"`)
	row := regexp.MustCompile(`^model/v[0-9]+[a-z]?\.go$`)
	seen, rows := map[string]bool{}, 0
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		switch found := literal.FindString(string(data)); {
		case found == "":
		case row.MatchString(rel):
			rows++
		case slices.Contains(named, rel):
			seen[rel] = true
		default:
			t.Errorf("%s names the version %s: what a version needs stands in its row (model/version.go)", rel, found)
		}
		return nil
	}))
	if files, err := filepath.Glob(filepath.Join(root, "model", "v[0-9]*.go")); err != nil || rows == 0 || rows != len(files) {
		t.Errorf("%d files of %v name versions (%v)", rows, files, err)
	}
	text, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	must(t, err)
	_, section, ok := strings.Cut(string(text), "\n## Adding a version\n")
	section, _, end := strings.Cut(section, "\n## ")
	if !ok || !end {
		t.Fatal("CONTRIBUTING.md does not say how to add a version")
	}
	for _, rel := range named {
		if !seen[rel] {
			t.Errorf("%s names no version", rel)
		}
		if !strings.Contains(section, rel) {
			t.Errorf("CONTRIBUTING.md does not name %s", rel)
		}
	}
}
