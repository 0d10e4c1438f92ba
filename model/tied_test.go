package model

import (
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// The head is the embedding where the configuration says so, and only there.
func TestTied(t *testing.T) {
	v7 := weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)
	var untied, twice, normed []*tensor.Tensor
	for _, x := range v7 {
		if x.Name != "head.weight" && !strings.Contains(x.Name, ".ln0.") {
			normed = append(normed, x)
		}
		if x.Name != "head.weight" {
			untied, twice = append(untied, x), append(twice, x)
		}
	}
	emb := untied[weightstest.Index(t, untied, "emb.weight")]
	twice = append(twice, weightstest.Renamed(emb, "head.weight"))
	for name, c := range map[string]struct {
		list []*tensor.Tensor
		says any
		err  string
	}{
		"said":             {untied, true, ""},
		"said and there":   {twice, true, ""},
		"said not":         {untied, false, "tensor head.weight: missing from the file (it has emb.weight): a head that is the embedding again has to be said, by tie_word_embeddings"},
		"not said":         {untied, nil, "tensor head.weight: missing from the file"},
		"said and normed":  {normed, true, "config.json: tie_word_embeddings: want false, as the embedding went through ln0, got true"},
		"said but another": {v7, true, "config.json: tie_word_embeddings: want false, as the head differs from the embedding, got true"},
	} {
		m, err := openMade(t, weightstest.Directory(t, weightstest.Fla(c.list), map[string]any{"tie_word_embeddings": c.says}))
		if c.err != "" || err != nil {
			if c.err == "" || err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: want %q, got %v", name, c.err, err)
			}
			continue
		}
		last := m.Program.Steps[len(m.Program.Steps)-1].Op.(*op.MatMul).Parts[0].W.Source
		got, err := last.Floats()
		if err != nil {
			t.Fatal(err)
		}
		want, err := emb.Floats()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) || len(m.Unused) != 0 {
			t.Errorf("%s: the head is not the embedding; unused %v", name, m.Unused)
		}
		if n := m.Parameters(); name == "said" && n != parameters(untied) {
			t.Errorf("%s: want %d parameters, got %d", name, parameters(untied), n)
		}
	}
}

func parameters(list []*tensor.Tensor) (n int) {
	for _, x := range list {
		n += x.Len()
	}
	return n
}
