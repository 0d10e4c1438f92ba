package weights

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

var layerPrefix = regexp.MustCompile(`^blocks\.(\d+)\.`)

// packedMixes is rwkv.cpp's tensor of v7 that holds x_r, x_w, x_k, x_v, x_a and x_g.
const packedMixes = "x_rwkvag"

// rwkvCpp undoes what rwkv.cpp's converter does to the original tensors, of which it keeps the names:
//
//   - v4 holds -exp(w) as time_decay; v5 exp(-exp(w)), and v5.0 exp(u) as time_first. These stay, and forms says so.
//   - v5 and v6 reshape time_decay, time_first and time_faaaa to [H, N, 1], with N = 1 in v5.0.
//   - v6 transposes time_maa_w1, time_maa_w2, time_decay_w1 and time_decay_w2. Blocks do not transpose: where these are
//     quantized they come out as F32 with the same values.
//   - v7 transposes w1 w2 a1 a2 v1 v2 g1 g2 and packs the token-shift mixes as att.x_rwkvag [6, 1, C].
//
// Nothing in the file names the version, and no original layout has tensors of these shapes.
func rwkvCpp(tensors []*tensor.Tensor) (contents, error) {
	c := contents{functions: map[string]Function{}}
	version := rwkvCppVersion(tensors)
	for _, t := range tensors {
		list := []*tensor.Tensor{t}
		part := layerPrefix.ReplaceAllString(t.Name, "")
		var err error
		switch {
		case part == t.Name || !strings.HasPrefix(part, "att."):
		case version == 4 && part == "att.time_decay":
			c.functions[t.Name] = NegExp
		case version == 5 && part == "att.time_decay":
			c.functions[t.Name] = ExpNegExp
			list[0] = squeezed(t)
		case version == 5 && part == "att.time_first":
			c.functions[t.Name] = Exp
			list[0] = squeezed(t)
		case part == "att.time_faaaa":
			list[0] = squeezed(t)
		case version == 6 && part == "att.time_decay":
			list[0] = t.Reshaped(t.Len())
		case slices.Contains(rwkvCppTransposed[version], strings.TrimPrefix(part, "att.")):
			list[0] = t.Transposed()
		case part == "att."+packedMixes:
			list, err = unpacked(t)
		}
		if err != nil {
			return c, err
		}
		if len(c.tensors)+len(list) > maxTensors {
			return c, &Error{Field: "size", Want: fmt.Sprintf("at most %d tensors", maxTensors), Got: "more"}
		}
		c.tensors = append(c.tensors, list...)
	}
	return c, unique(c.tensors)
}

// rwkvCppTransposed are the last parts of names of matrices that are stored transposed, by version.
var rwkvCppTransposed = map[int][]string{
	6: {"time_maa_w1", "time_maa_w2", "time_decay_w1", "time_decay_w2"},
	7: {"w1", "w2", "a1", "a2", "v1", "v2", "g1", "g2"},
}

// rwkvCppVersion tells the major version by a tensor that only it has.
func rwkvCppVersion(tensors []*tensor.Tensor) int {
	version := 4
	for _, t := range tensors {
		switch {
		case strings.HasSuffix(t.Name, ".att."+packedMixes) || strings.HasSuffix(t.Name, ".att.r_k"):
			return 7
		case strings.HasSuffix(t.Name, ".att.time_maa_x"):
			version = 6
		case strings.HasSuffix(t.Name, ".att.ln_x.weight"):
			version = max(version, 5)
		}
	}
	return version
}

// squeezed returns [H, N, 1] as [H, N] and [H, 1, 1] as [H].
func squeezed(t *tensor.Tensor) *tensor.Tensor {
	if len(t.Shape) != 3 || t.Shape[2] != 1 || t.Type.IsBlock() {
		return t
	}
	if t.Shape[1] == 1 {
		return t.Reshaped(t.Shape[0])
	}
	return t.Reshaped(t.Shape[:2]...)
}

// unpacked returns the six parts of packed token-shift mixes, which alias it.
func unpacked(t *tensor.Tensor) ([]*tensor.Tensor, error) {
	const mixes = "rwkvag"
	if len(t.Shape) != 3 || t.Shape[0] != len(mixes) || t.Shape[1] != 1 {
		return nil, &Error{Tensor: t.Name, Field: "dimensions", Want: "[6 1 C]", Got: fmt.Sprint(t.Shape)}
	}
	stem, c := strings.TrimSuffix(t.Name, packedMixes)+"x_", t.Shape[2]
	size := t.Type.Bytes(c)
	var list []*tensor.Tensor
	for i := range len(mixes) {
		list = append(list, tensor.New(stem+mixes[i:i+1], t.Type, []int{c}, func() ([]byte, error) {
			all, err := t.Load()
			if err != nil {
				return nil, err
			}
			return all[i*size : (i+1)*size : (i+1)*size], nil
		}))
	}
	return list, nil
}

func unique(tensors []*tensor.Tensor) error {
	seen := make(map[string]bool, len(tensors))
	for _, t := range tensors {
		if seen[t.Name] {
			return &Error{Tensor: t.Name, Field: "name", Want: "one tensor", Got: "another within " + packedMixes}
		}
		seen[t.Name] = true
	}
	return nil
}
