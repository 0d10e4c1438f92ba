package model

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// tryNew wants New to fail with an error of one line that is about a tensor and contains every text.
func tryNew(t *testing.T, list []*tensor.Tensor, name string, texts ...string) {
	t.Helper()
	_, err := New(parse(t, list))
	var e *weights.Error
	if !errors.As(err, &e) {
		t.Errorf("%s: want a *weights.Error, got %v", name, err)
		return
	}
	line := err.Error()
	if e.Tensor != name || e.File != "made.safetensors" || strings.Contains(line, "\n") {
		t.Errorf("%s: error %q is not one line about the tensor and the file", name, line)
	}
	for _, want := range texts {
		if !strings.Contains(line, want) {
			t.Errorf("%s: want an error with %q, got %q", name, want, line)
		}
	}
}

// Every tensor that a model needs is missed by name, and each of its dimensions is checked, with what was wanted and
// what was found.
func TestEveryTensorIsChecked(t *testing.T) {
	reference.Sequential(t)
	size := weightstest.Size{Vocab: 67, Embed: 32, Layers: 3, Head: 16, FFN: 96, W: 8, A: 12, V: 4, G: 20}
	good := weightstest.RWKV7(size, tensor.F32, 1)
	detecting := []string{"blocks.0.att.r_k", "blocks.0.att.w0"} // without both it is no version 7
	for i, x := range good {
		if !slices.Contains(detecting, x.Name) {
			tryNew(t, slices.Delete(slices.Clone(good), i, i+1), x.Name, "missing from the file")
		}
		shape := slices.DeleteFunc(slices.Clone(x.Shape), func(d int) bool { return d == 1 })
		list := slices.Clone(good)
		list[i] = weightstest.Ones(x.Name, append([]int{2}, shape...)...)
		tryNew(t, list, x.Name, "shape: want [", fmt.Sprintf("got %v", list[i].Shape))
		if x.Name == "emb.weight" || strings.Contains(x.Name, "att.w1") || strings.Contains(x.Name, "att.r_k") {
			continue // sizes that others are measured by; TestSizesDisagree
		}
		for d := range shape {
			list := slices.Clone(good)
			other := slices.Clone(shape)
			other[d] += 8
			list[i] = weightstest.Ones(x.Name, other...)
			_, err := New(parse(t, list))
			if x.Name == "blocks.0.ffn.key.weight" && d == 0 || strings.Contains(x.Name, ".att.") && len(shape) == 2 {
				// The first to name a size sets it: another tensor is the one that disagrees.
				if err == nil {
					t.Errorf("%s %v: no error", x.Name, other)
				}
				continue
			}
			tryNew(t, list, x.Name, "shape: want [", fmt.Sprintf("=%d", shape[d]), fmt.Sprintf("got %v", other))
		}
	}
}

// Sizes that disagree between tensors are found at the tensor that disagrees with an earlier one.
func TestSizesDisagree(t *testing.T) {
	const c = 32
	for _, x := range []struct {
		name  string
		shape []int
		want  string
		got   string
		at    string
	}{
		{"blocks.1.att.w1", []int{c, 9}, "[C=32 Rw=8]", "[32 9]", "blocks.1.att.w1"},
		{"blocks.0.att.a2", []int{13, c}, "[Ra=12 C=32]", "[13 32]", "blocks.0.att.a2"},
		{"blocks.0.att.g1", []int{c, 21}, "[Rg=21 C=32]", "[20 32]", "blocks.0.att.g2"},
		{"blocks.1.att.v2", []int{5, c}, "[Rv=4 C=32]", "[5 32]", "blocks.1.att.v2"},
		{"blocks.0.att.r_k", []int{4, 8}, "[H=4 N=8]", "[2 16]", "blocks.1.att.r_k"},
		{"blocks.1.att.r_k", []int{2, 8}, "[H=2 N=16]", "[2 8]", "blocks.1.att.r_k"},
		{"blocks.0.ffn.key.weight", []int{95, c}, "[C=32 F=95]", "[32 96]", "blocks.0.ffn.value.weight"},
		{"blocks.1.ffn.value.weight", []int{c, 95}, "[C=32 F=96]", "[32 95]", "blocks.1.ffn.value.weight"},
		{"emb.weight", []int{67, 40}, "[C=40]", "[32]", "blocks.0.ln0.weight"},
		{"emb.weight", []int{66, c}, "[V=66 C=32]", "[67 32]", "head.weight"},
		{"head.weight", []int{68, c}, "[V=67 C=32]", "[68 32]", "head.weight"},
		{"emb.weight", []int{67 * c}, "[V C]", "[2144]", "emb.weight"},
	} {
		list := weightstest.RWKV7(weightstest.Tiny, tensor.F32, 1)
		list[weightstest.Index(t, list, x.name)] = weightstest.Ones(x.name, x.shape...)
		tryNew(t, list, x.at, "shape: want "+x.want+", got "+x.got)
	}
	for _, x := range []struct {
		heads, n int
		want     string
	}{
		{2, 12, "heads * head size = 32, got 2 * 12"},
		{16, 2, "a head size that is a multiple of 4, got 2"},
	} {
		list := weightstest.RWKV7(weightstest.Tiny, tensor.F32, 1)
		for l := range weightstest.Tiny.Layers {
			name := fmt.Sprintf("blocks.%d.att.r_k", l)
			list[weightstest.Index(t, list, name)] = weightstest.Ones(name, x.heads, x.n)
		}
		tryNew(t, list, "blocks.0.att.r_k", x.want)
	}
}

// A size of 0 is refused, wherever it stands.
func TestEmptyTensors(t *testing.T) {
	good := weightstest.RWKV7(weightstest.Tiny, tensor.F32, 1)
	for i, x := range good {
		for d := range x.Shape {
			shape := slices.Clone(x.Shape)
			shape[d] = 0
			list := slices.Clone(good)
			list[i] = tensor.FromFloats(x.Name, shape, nil)
			f, err := weights.Parse("made.safetensors", weightstest.Safetensors(list, nil))
			if err == nil {
				_, err = New(f)
			}
			if err == nil || !strings.Contains(err.Error(), x.Name) {
				t.Errorf("%s %v: want an error about it, got %v", x.Name, shape, err)
			}
		}
	}
}

// Layers are counted by their names: one too many, or a gap, is a layer whose tensors are missing.
func TestLayers(t *testing.T) {
	good := weightstest.RWKV7(weightstest.Tiny, tensor.F32, 1)
	for _, extra := range []string{"blocks.2.att.x_r", "blocks.41.more", "blocks.65535.x"} {
		tryNew(t, append(slices.Clone(good), weightstest.Ones(extra, 32)), "blocks.2.ln1.weight", "missing from the file")
	}
	m, err := New(parse(t, append(slices.Clone(good), weightstest.Ones("blocks.65536.x", 1), weightstest.Ones("blocks.x.y", 1), weightstest.Ones("blocks.-1.y", 1))))
	if err != nil || m.Layers != 2 || len(m.Unused) != 3 {
		t.Errorf("names that are no layers: %v", err)
	}
	var second []*tensor.Tensor
	for _, x := range good {
		if !strings.HasPrefix(x.Name, "blocks.0.att.") {
			second = append(second, x)
		}
	}
	if _, err := New(parse(t, second)); err == nil {
		t.Error("a model without its first time mix was accepted")
	}
}

// The value residual's weights of layer 0, which some files carry though nothing uses them, are reported as unused.
func TestUnused(t *testing.T) {
	list := weightstest.RWKV7(weightstest.Tiny, tensor.F32, 1)
	list = append(list, weightstest.Ones("blocks.0.att.v0", 1, 1, 32), weightstest.Ones("blocks.0.att.v1", 32, 4), weightstest.Ones("blocks.0.att.v2", 4, 32),
		weightstest.Ones("extra", 3))
	m, err := New(parse(t, list))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"blocks.0.att.v0", "blocks.0.att.v1", "blocks.0.att.v2", "extra"}; !slices.Equal(m.Unused, want) {
		t.Errorf("unused %v, want %v", m.Unused, want)
	}
	if m.Ranks["v"] != 4 {
		t.Errorf("rank v %d, want 4", m.Ranks["v"])
	}
}

// Architectures that no version here is are refused by name, though their files hold all tensors of one.
func TestOtherVersions(t *testing.T) {
	good := weightstest.RWKV7(weightstest.Tiny, tensor.F32, 1)
	for mark, want := range map[string]string{
		"blocks.1.rosa.emb": "RWKV-8 with ROSA", "rosa1.rosa_qkv.emb": "RWKV-8 with ROSA", "emb_rosa.emb.weight": "RWKV-8 with ROSA",
		"blocks.1.qkv.qq.weight": "RWKV-7b", "blocks.1.qkv.ennk.weight": "RWKV-8 rc00 with attention", "blocks.0.ffnPre.key.weight": "pre_ffn",
		"model.layers.1.attn.q_proj.weight": "attention in the place of time mixes",
	} {
		if _, err := New(parse(t, append(slices.Clone(good), weightstest.Ones(mark, 4)))); err == nil ||
			!strings.Contains(err.Error(), "version: want "+Supported()+", got ") || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "(tensor "+mark+")") {
			t.Errorf("%s: want an error about %s, got %v", mark, want, err)
		}
	}
	list := []*tensor.Tensor{weightstest.Ones("emb.weight", 4, 4), weightstest.Ones("layers.0.attn.qkv.weight", 4, 4)}
	if _, err := New(parse(t, list)); err == nil || !strings.Contains(err.Error(), "got tensors of none (2, the first named emb.weight)") || !strings.Contains(err.Error(), Supported()) {
		t.Errorf("tensors of no version: got %v", err)
	}
}

// A file that is no model, and one that is not there, give one line with the path.
func TestOpenErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bad.safetensors")
	if err := os.WriteFile(path, []byte("no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, path + ".absent"} {
		if _, err := Open(p); err == nil || !strings.Contains(err.Error(), p) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", p, err)
		}
	}
}
