package convert

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// madeHere is the annotation of safetensors files that says who wrote them. Files of web-rwkv's converter have none.
// That tells their layout where shapes do not (see the package comment of weights).
const madeHere = "converted_by"

// Safetensors returns m as a safetensors file with the original names, shapes and numbers. typ is the plain type to
// store everything as, or 0 to keep types. Numbers in blocks become F32, which stores them exactly. Changes of an
// earlier converter are undone: divisors of two exactly, exponentials within the rounding of the stored numbers.
func Safetensors(m *model.Model, typ tensor.Type) (*Export, error) {
	e := &Export{source: m.File.Path}
	var list []weights.Stored
	blocks, undone := 0, 0
	for _, name := range m.File.Names() {
		t, as := m.File.Tensors[name], typ
		if t.Type.IsBlock() {
			blocks++
		}
		if f := m.File.Functions[name]; f != weights.Plain {
			t = undo(t, f)
			undone++
		}
		if n := m.File.Divisor(name); n != 1 {
			var err error
			if t, err = times(t, n); err != nil {
				return nil, err
			}
		}
		if as == 0 {
			if as = t.Type; as.IsBlock() {
				as = tensor.F32
			}
		}
		list = append(list, weights.Stored{Tensor: m.InOriginalShape(t), As: as})
	}
	if names := slices.Sorted(maps.Keys(m.File.Unread)); len(names) > 0 {
		e.noticef("left out are tensors of types that are not read: %d (%s)", len(names), model.Few(names))
	}
	if blocks > 0 && (typ == 0 || typ == tensor.F32) {
		e.noticef("%d tensors of blocks become F32, which holds their numbers exactly", blocks)
	}
	if undone > 0 {
		e.noticef("%d tensors held exponentials: their exponents are back, to the last bit that can be known", undone)
	}
	slices.SortStableFunc(list, func(a, b weights.Stored) int { // each then lies at a multiple of its elements' size
		return cmp.Compare(b.As.Bytes(1), a.As.Bytes(1))
	})
	meta := map[string]string{"architecture": "rwkv-" + m.Version, madeHere: "rwkv-gpu"}
	if m.File.EmbeddingNormed {
		meta[weights.NormedEmbedding] = "true"
		e.noticef("the embedding went through ln0 when the file was made: other programs will miss blocks.0.ln0")
	}
	for _, eps := range []struct {
		key       string
		is, usual float32
	}{{weights.NormEpsilon, m.NormEps, model.OriginalNormEps}, {weights.GroupNormEpsilon, m.GroupNormEps, model.OriginalGroupNormEps}} {
		if eps.is != 0 && eps.is != eps.usual {
			meta[eps.key] = strconv.FormatFloat(float64(eps.is), 'g', -1, 32)
			e.noticef("the model's %s is %s, not %v: the file says so in an annotation, which other programs may not read", eps.key, meta[eps.key], eps.usual)
		}
	}
	var err error
	if e.Output, err = weights.Safetensors(list, meta); err != nil {
		return nil, fmt.Errorf("%s: %w", m.File.Path, err)
	}
	return e, nil
}
