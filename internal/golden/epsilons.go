package golden

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// scaled are the tensors whose multiplication by s makes that of the input of a norm, by the power of s that each
// takes. A norm of s x with an epsilon of s^2 e is that of x with e. Layer norms see the residual stream, to which a
// model's embedding and last products go; the norm over each head sees what is linear in the values.
var scaled = map[string]map[string]float32{
	weights.NormEpsilon: {"emb.weight": 1, "ln0.weight": 1, "ln0.bias": 1, "att.output.weight": 1, "ffn.value.weight": 1,
		"s_emb_x.weight": -1}, // of DeepEmbed, which begins with the normed embedding
	weights.GroupNormEpsilon: {"att.value.weight": 1, "att.time_state": 1},
}

// RunEpsilons wants models whose norms see the numbers of others divided by 256, with epsilons that their files state
// as the usual ones by 65536, to give the others' logits.
func RunEpsilons(t *testing.T, open Open) {
	reference.Numbers(t)
	usual := map[string]float32{weights.NormEpsilon: 1e-5, weights.GroupNormEpsilon: 64e-5}
	const s = 1.0 / 256
	for _, c := range synthetics {
		list := weightstest.RWKV(c.version, c.size, tensor.F32, 9)
		for i, x := range list { // what is added behind the norm of heads is not to change
			if strings.HasSuffix(x.Name, ".att.r_k") {
				list[i] = tensor.FromFloats(x.Name, x.Shape, make([]float32, x.Len()))
			}
		}
		want := epsilonLogits(t, list, nil, open)
		for key, factors := range scaled {
			if key == weights.GroupNormEpsilon && Parse(t, list).GroupNormEps == 0 {
				continue // no norm over heads
			}
			t.Run(c.String()+"/"+key, func(t *testing.T) {
				small := slices.Clone(list)
				for i, x := range list {
					for suffix, power := range factors {
						if x.Name == suffix || strings.HasSuffix(x.Name, "."+suffix) {
							small[i] = multiplied(t, x, map[float32]float32{1: s, -1: 1 / s}[power])
						}
					}
				}
				eps := strconv.FormatFloat(float64(usual[key]*s*s), 'g', -1, 32)
				got := epsilonLogits(t, small, map[string]string{key: eps}, open)
				wantClose(t, "logits", got, want, 1e-5)
				if far := epsilonLogits(t, small, nil, open); distance(far, want) < 1e-2 {
					t.Error("the epsilon makes no difference")
				}
			})
		}
	}
}

// epsilonLogits returns those of a file with annotations.
func epsilonLogits(t *testing.T, list []*tensor.Tensor, annotations map[string]string, open Open) []float32 {
	f, err := weights.Parse("synthetic", weightstest.Safetensors(list, annotations))
	must(t, err)
	m, err := model.New(f)
	must(t, err)
	tokens := []int{3, 1, 4, 1, 5}
	e := open(t, m, op.Sizes{Slots: 1, Rows: len(tokens), Seqs: 1, Outs: len(tokens)})
	return slices.Concat(Logits(t, e, 0, tokens, 2)...)
}

func multiplied(t *testing.T, x *tensor.Tensor, by float32) *tensor.Tensor {
	f, err := x.Floats()
	must(t, err)
	for i := range f {
		f[i] *= by
	}
	return tensor.FromFloats(x.Name, x.Shape, f)
}
