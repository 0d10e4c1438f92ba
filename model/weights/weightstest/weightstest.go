// Package weightstest builds model files for tests: synthetic RWKV models, and the bytes of a file that holds given
// tensors.
package weightstest

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Safetensors returns a safetensors file with the tensors in the order given and meta as its __metadata__ (absent if
// nil), keys sorted. The same arguments give the same bytes. It panics if a tensor does not load.
func Safetensors(tensors []*tensor.Tensor, meta map[string]string) []byte {
	var members []string
	if meta != nil {
		var pairs []string
		for _, k := range slices.Sorted(maps.Keys(meta)) {
			pairs = append(pairs, quote(k)+":"+quote(meta[k]))
		}
		members = append(members, `"__metadata__":{`+strings.Join(pairs, ",")+"}")
	}
	var body []byte
	for _, t := range tensors {
		data, err := t.Load()
		if err != nil {
			panic("weightstest: " + err.Error())
		}
		shape := strings.ReplaceAll(strings.Trim(fmt.Sprint(t.Shape), "[]"), " ", ",")
		members = append(members, fmt.Sprintf(`%s:{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}`, quote(t.Name), t.Type, shape, len(body), len(body)+len(data)))
		body = append(body, data...)
	}
	return File("{"+strings.Join(members, ",")+"}", body)
}

// File returns a safetensors file with the header as given, right or wrong, padded to a multiple of 8 bytes.
func File(header string, body []byte) []byte {
	if pad := len(header) % 8; pad != 0 {
		header += strings.Repeat(" ", 8-pad)
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), body...)
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // cannot be for a string
	}
	return string(b)
}
