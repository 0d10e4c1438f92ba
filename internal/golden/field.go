package golden

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// fieldCase is a model file of a kind that users report, with the logits that others computed for it.
type fieldCase struct {
	dir, file, expected string // in shared/field; file is "" for the directory itself
	version             string
	kind                string // of the file, as in the manifest
	tokens              []int
	tolerance           float64 // of the largest logit
}

// fieldCases have results of the original implementation's formulas, in torch, after the last token.
var fieldCases = []fieldCase{
	{"rwkv8-rc00-run-as-v7", "rwkv-8-rc00-tiny.pth", "expected.npy", "v8-rc00", "pth_bf16", []int{5, 17, 200, 3}, 1e-5},
	{"norm-eps-ignored", "", "expected-1e-3.npy", "v7", "hf_f32", []int{3, 9, 21, 3, 9, 30, 5}, 1e-5},
	{"norm-eps-ignored", "model.safetensors", "expected-1e-3.npy", "v7", "hf_f32", []int{3, 9, 21, 3, 9, 30, 5}, 1e-5},
}

// RunField compares the field files whose results are known.
func RunField(t *testing.T, open Open) {
	reference.Numbers(t)
	for _, c := range fieldCases {
		t.Run(c.dir+"/"+c.file, func(t *testing.T) {
			m, err := model.Open(reference.Shared(t, "field", c.dir, c.file))
			must(t, err)
			defer func() { _ = m.Close() }()
			if m.Version != c.version {
				t.Errorf("want version %s, got %s", c.version, m.Version)
			}
			want := npy(t, reference.Shared(t, "field", c.dir, c.expected))
			n := len(c.tokens)
			e := open(t, m, op.Sizes{Slots: 1, Rows: n, Seqs: 1, Outs: n})
			for _, chunk := range []int{0, 1, 3} {
				must(t, e.ResetState(0))
				wantClose(t, fmt.Sprintf("chunks of %d", chunk), Logits(t, e, 0, c.tokens, chunk)[n-1], want, c.tolerance)
			}
		})
	}
}

// npy reads a file of float32 that NumPy wrote: a header, whose length stands at byte 8, and the numbers.
func npy(t *testing.T, path string) []float32 {
	data, err := os.ReadFile(path)
	must(t, err)
	if len(data) < 10 || string(data[:6]) != "\x93NUMPY" || data[6] != 1 {
		t.Fatalf("%s: want an .npy file of version 1", path)
	}
	at := 10 + int(binary.LittleEndian.Uint16(data[8:]))
	if header := string(data[10:at]); !strings.Contains(header, "'<f4'") || strings.Contains(header, "True") {
		t.Fatalf("%s: want float32 in C order, got %s", filepath.Base(path), header)
	}
	x := make([]float32, (len(data)-at)/4)
	tensor.F32.Decode(x, data[at:])
	return x
}
