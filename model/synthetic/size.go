package synthetic

import (
	"fmt"
	"strings"
)

// Size is the shape of an RWKV-7 model.
type Size struct {
	Name       string
	Layers     int
	Embed      int // C, a multiple of Head
	Head       int // N: the size of a head
	FFN        int
	Vocab      int
	W, A, V, G int // widths of the low-rank matrices
}

// sizes are those of the published RWKV-7 models (RWKV-7 paper, arXiv 2503.14456, table of model sizes; 7.2B as its
// checkpoint has them).
var sizes = []Size{
	official("0.1b", 12, 768, 64, 64, 32, 128),
	official("0.4b", 24, 1024, 64, 64, 32, 128),
	official("1.5b", 24, 2048, 96, 96, 64, 256),
	official("2.9b", 32, 2560, 96, 96, 64, 320),
	official("7.2b", 32, 4096, 128, 128, 96, 480),
}

func official(name string, layers, embed, w, a, v, g int) Size {
	return Size{Name: name, Layers: layers, Embed: embed, Head: 64, FFN: 4 * embed, Vocab: 65536, W: w, A: a, V: v, G: g}
}

// Names lists the published sizes, the smallest first.
func Names() []string {
	names := make([]string, len(sizes))
	for i := range sizes {
		names[i] = sizes[i].Name
	}
	return names
}

// Named returns a published size. Case does not count.
func Named(name string) (Size, error) {
	for _, s := range sizes {
		if strings.EqualFold(s.Name, name) {
			return s, nil
		}
	}
	return Size{}, fmt.Errorf("want one of %s, got %q", strings.Join(Names(), ", "), name)
}

// Parameters returns the number of a model's elements, by the paper's formula
//
//	2DV + 4D + LD(12D + 2(w+a+v+g) + 19) - (2Dv + D)
//
// for hidden layers of 4D; layer 0 has no value residual.
func (s Size) Parameters() int {
	d := s.Embed
	perLayer := d * (4*d + 2*s.FFN + 2*(s.W+s.A+s.V+s.G) + 19)
	return 2*d*s.Vocab + 4*d + s.Layers*perLayer - (2*d*s.V + d)
}
