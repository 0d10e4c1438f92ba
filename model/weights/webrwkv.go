package weights

import (
	"fmt"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// isWebRWKV recognises a file of web-rwkv's converter: by its renamed tensors in v5, v6 and LoRAs, by the orientation
// of the low-rank matrices in v7 (see the package comment).
func isWebRWKV(x index) (evidence string, ok bool, err error) {
	if n := x.find(".att.time_mix_w1"); n != "" {
		return "it has " + n, true, nil
	}
	if n := x.find(".att.time_first"); n != "" && x.find(".att.gate.weight") != "" && x.find(".time_faaaa") == "" {
		return "it has " + n + " beside a gate", true, nil
	}
	if n := x.find(".lora.0"); strings.HasPrefix(n, "blocks.") && lastPart(n) == "0" {
		return "it has " + n, true, nil
	}
	if evidence, ok := onlyStates(x); ok {
		return evidence, true, nil
	}
	return orientation(x)
}

// onlyStates decides for a file of initial states, whose matrices are square: web-rwkv's converters write safetensors
// in F16, and annotations either none or as assumed wants them; training writes .pth.
func onlyStates(x index) (evidence string, webRWKV bool) {
	if x.format != "safetensors" || len(x.names) == 0 || len(x.meta) > 1 || len(x.meta) == 1 && x.meta["format"] != "pt" {
		return "", false
	}
	for n, t := range x.tensors {
		if lastPart(n) != "time_state" || t.Type != tensor.F16 {
			return "", false
		}
	}
	return "assumed: there are only states, all F16, as its converters write them", true
}

// orientation lets every low-rank matrix of a v7 file vote for the layout it is stored in.
func orientation(x index) (evidence string, webRWKV bool, err error) {
	emb, ok := x.tensors["emb.weight"]
	if !ok || len(emb.Shape) != 2 {
		return "", false, nil // the model will name what is wrong
	}
	c := emb.Shape[1]
	square := false
	first := map[bool]*tensor.Tensor{} // the first voter of each side
	votes := map[bool]int{}
	for _, n := range x.names {
		t := x.tensors[n]
		isFirst, ok := lowRank(n)
		if !ok || len(t.Shape) != 2 {
			continue
		}
		rows, cols := t.Shape[0], t.Shape[1]
		if rows == cols {
			square = square || rows == c
			continue
		}
		if rows != c && cols != c {
			continue // wrong either way, as the model will say
		}
		swapped := (cols == c) == isFirst
		if votes[swapped]++; first[swapped] == nil {
			first[swapped] = t
		}
	}
	switch web, orig := first[true], first[false]; {
	case web != nil && orig != nil:
		return "", false, mixed(c, first, votes[true] > votes[false])
	case web != nil:
		return fmt.Sprintf("%s is %v where the original is %v", web.Name, web.Shape, flip(web.Shape)), true, nil
	case orig == nil && square:
		return assumed(x)
	}
	return "", false, nil
}

// lowRank reports whether name is a low-rank matrix of v7, and whether it is the first of its pair, which turns C
// numbers into R.
func lowRank(name string) (isFirst, ok bool) {
	block, part, ok := strings.Cut(name, ".att.")
	if !ok || !strings.HasPrefix(block, "blocks.") || len(part) != 2 {
		return false, false
	}
	return part[1] == '1', strings.IndexByte("wavg", part[0]) >= 0 && (part[1] == '1' || part[1] == '2')
}

// mixed is the error for a file with matrices in both orientations: it names the first of the smaller party.
func mixed(c int, first map[bool]*tensor.Tensor, mostSwapped bool) error {
	odd, rest := first[!mostSwapped], first[mostSwapped]
	return &Error{
		Tensor: odd.Name, Field: "shape",
		Want: fmt.Sprintf("%v, the orientation of %s %v (with C = %d)", flip(odd.Shape), clip(rest.Name), rest.Shape, c),
		Got:  fmt.Sprint(odd.Shape),
	}
}

func flip(shape []int) []int { return []int{shape[1], shape[0]} }

// assumed decides for a file whose shapes fit both layouts, by what web-rwkv's converter always writes.
func assumed(x index) (evidence string, webRWKV bool, err error) {
	if len(x.meta) != 1 || x.meta["format"] != "pt" {
		return "", false, nil
	}
	for _, t := range x.tensors {
		if t.Type != tensor.F16 {
			return "", false, nil
		}
	}
	return "assumed: every low-rank matrix is square, all is F16, and the annotations are its converter's", true, nil
}
