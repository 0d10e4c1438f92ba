package weights

import (
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// scheme translates the names of a layout that has its own names for everything. Each map is asked for a whole name
// first, then for the name without its last part (".weight", ".bias"), which stays.
type scheme struct {
	whole  map[string]string // outside the layers
	layers []string          // what may stand before a layer's number: "model.layers."
	parts  map[string]string // what follows the number and its dot; nil if all keep their names
}

// original returns the original name for name, or name itself if the scheme does not know it.
func (s *scheme) original(name string) string {
	if o, ok := translate(s.whole, name); ok {
		return o
	}
	for _, prefix := range s.layers {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		layer, part, ok := strings.Cut(rest, ".")
		if !ok || strings.Trim(layer, "0123456789") != "" || layer == "" {
			continue
		}
		if s.parts != nil {
			if part, ok = translate(s.parts, part); !ok {
				continue
			}
		}
		return "blocks." + layer + "." + part
	}
	return name
}

func translate(names map[string]string, name string) (string, bool) {
	if o, ok := names[name]; ok {
		return o, true
	}
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return "", false
	}
	o, ok := names[name[:dot]]
	return o + name[dot:], ok
}

// edited returns x with every tensor replaced by those that change returns for it.
func (x index) edited(change func(name string, t *tensor.Tensor) ([]*tensor.Tensor, error)) (index, error) {
	c := contents{meta: x.meta, unread: x.unread}
	for _, n := range x.names {
		list, err := change(n, x.tensors[n])
		if err != nil {
			return x, err
		}
		c.tensors = append(c.tensors, list...)
	}
	return newIndex(c)
}

// slicesOf returns the parts of t along its first dimension, which must be len(names), as vectors of those names.
func slicesOf(t *tensor.Tensor, names []string) []*tensor.Tensor {
	size := t.Len() / len(names)
	out := make([]*tensor.Tensor, len(names))
	for i, name := range names {
		out[i] = t.Part(name, []int{size}, func() ([]byte, error) {
			b, err := t.Load()
			if err != nil {
				return nil, err
			}
			n := len(b) / len(names)
			return b[i*n : (i+1)*n : (i+1)*n], nil
		})
	}
	return out
}
