package golden

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// Formats wants the same logits bit for bit from the same weights in whatever file they come, where matrices are stored
// as the same types; vectors become float32 in any case. anyType says that the executor makes float32 of matrices too,
// so that files whose types differ agree as well, as long as the types hold the same numbers.
func Formats(t *testing.T, anyType bool, open Open) {
	if testing.Short() {
		t.Skip("how weights are read is no matter of the device")
	}
	t.Run("synthetic", func(t *testing.T) { syntheticFormats(t, open) })
	for _, version := range Versions {
		t.Run(version, func(t *testing.T) {
			for _, ref := range Models(t, version) {
				t.Run(ref.Name, func(t *testing.T) { referenceFormats(t, &ref, anyType, open) })
			}
		})
	}
}

// sameLogits remembers the first logits of each group, and wants the same ones from the others.
type sameLogits struct {
	first  map[string]string // by group
	logits map[string][]float32
	pairs  int
}

func (s *sameLogits) try(t *testing.T, group, name string, m *model.Model, open Open) {
	t.Helper()
	tokens := make([]int, 9)
	for i := range tokens {
		tokens[i] = (7*i + 3) % m.Vocab
	}
	e := open(t, m, op.Sizes{Slots: 1, Rows: len(tokens), Seqs: 1, Outs: len(tokens)})
	logits := slices.Concat(Logits(t, e, 0, tokens, 4)...)
	must(t, e.Close())
	if s.logits == nil {
		s.first, s.logits = map[string]string{}, map[string][]float32{}
	}
	if want, ok := s.logits[group]; ok {
		wantSame(t, name+" against "+s.first[group], logits, want)
		s.pairs++
		return
	}
	s.first[group], s.logits[group] = name, logits
}

// referenceFormats compares the files of a reference model, written by others. Files whose numbers are not those of the
// first say so: rwkv.cpp stores exponentials, and a rescaled file what is left of its halves in F16.
func referenceFormats(t *testing.T, ref *Model, anyType bool, open Open) {
	var same sameLogits
	groups := map[string]string{} // numbers by version
	for _, kind := range Kinds {
		f, ok := ref.Files[kind]
		if !ok {
			continue
		}
		m, err := model.Open(Path(t, f.Path))
		must(t, err)
		types, numbers := contentOf(t, m)
		if groups[m.Version] == "" {
			groups[m.Version] = numbers
		}
		if numbers != groups[m.Version] && len(m.File.Functions) == 0 && m.File.RescaleEvery == 0 {
			t.Errorf("%s: other numbers than in the file before it", kind)
		}
		if anyType {
			types = ""
		}
		same.try(t, m.Version+types+numbers, kind, m, open)
		must(t, m.Close())
	}
	t.Logf("%d files, %d compared with another one", len(ref.Files), same.pairs)
	if least := leastPairs[ref.Name]; anyType && same.pairs < least {
		t.Errorf("want at least %d pairs of files with the same numbers, got %d", least, same.pairs)
	}
}

// leastPairs are the files of the reference models that hold the same numbers as another one.
var leastPairs = map[string]int{"v4-C96-L3": 1, "v5.0-C96-L2": 1, "v5.2-C128-L2": 1, "v6-C128-L3": 2, "v6-C64-state": 1,
	"v7-C192-L2": 5, "v7-C96-L3": 3, "v7-C64-L2": 4}

// contentOf returns the types of a model's matrices, and a checksum of all its numbers.
func contentOf(t *testing.T, m *model.Model) (types, numbers string) {
	t.Helper()
	sum := sha256.New()
	for _, w := range m.Program.Of(op.Weight) {
		if len(w.Shape) > 1 {
			types += " " + w.Source.Type.String()
		}
		x, err := w.Source.Floats()
		must(t, err)
		divisor := float32(m.File.Divisor(w.Name))
		for i := range x {
			x[i] *= divisor
		}
		data := make([]byte, tensor.F32.Bytes(len(x)))
		tensor.F32.Encode(data, x)
		_, _ = sum.Write(data) // never fails
	}
	return types, string(sum.Sum(nil))
}

// syntheticFormats compares files of random models in every format that weightstest writes.
func syntheticFormats(t *testing.T, open Open) {
	for i, s := range synthetics {
		list := s.tensors(uint64(i + 1))
		files := map[string][]byte{
			"pth":         weightstest.Torch{}.File(list),
			"legacy pth":  weightstest.Torch{Legacy: true, Ordered: true}.File(list),
			"strided pth": weightstest.Torch{Strided: true, Parameters: true}.File(list),
			"shared pth":  weightstest.Torch{Shared: true, Wrap: []string{"state_dict"}, Prefix: "_orig_mod."}.File(list),
		}
		maps.Copy(files, weightstest.Formats(s.version, s.size, s.typ, list))
		t.Run(s.String(), func(t *testing.T) {
			var same sameLogits
			same.try(t, "", "safetensors", Parse(t, list), open)
			for name, data := range files {
				f, err := weights.Parse(name, data)
				must(t, err)
				if strings.HasPrefix(name, "Hugging Face") && !strings.HasPrefix(f.Layout, "Hugging Face") {
					t.Errorf("%s: read as %s", name, f.Layout)
				}
				m, err := model.New(f)
				must(t, err)
				same.try(t, "", name, m, open)
			}
			dir := shards(t, list)
			m, err := model.Open(dir)
			must(t, err)
			same.try(t, "", "directory of shards", m, open)
			must(t, m.Close())
		})
	}
}

// shards writes tensors as a Hugging Face directory of two files with an index.
func shards(t *testing.T, list []*tensor.Tensor) string {
	dir := t.TempDir()
	var index []string
	for i := range 2 {
		part := list[i*len(list)/2 : (i+1)*len(list)/2]
		name := fmt.Sprintf("model-%05d-of-00002.safetensors", i+1)
		must(t, os.WriteFile(filepath.Join(dir, name), weightstest.Safetensors(part, nil), 0o600))
		for _, x := range part {
			index = append(index, fmt.Sprintf("%q:%q", x.Name, name))
		}
	}
	must(t, os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"),
		[]byte(`{"metadata":{},"weight_map":{`+strings.Join(index, ",")+"}}"), 0o600))
	return dir
}
