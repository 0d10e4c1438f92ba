package golden

import (
	"encoding/json"
	"os"
	"path"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

const llamaDir = "gguf-llama.cpp"

// llamaManifest lists the files that llama.cpp quantized and its logits.
type llamaManifest struct {
	Prompts map[string][]int
	Cases   []struct {
		Type, File string
		Expected   map[string]string
		Tolerance  struct {
			MaxAbs float64 `json:"max_abs"`
		}
	}
}

func readLlamaCpp(t *testing.T) (m llamaManifest) {
	t.Helper()
	data, err := os.ReadFile(reference.Shared(t, "vectors", llamaDir, "MANIFEST.json"))
	must(t, err)
	must(t, json.Unmarshal(data, &m))
	return m
}

// RunLlamaCpp compares GGUF files that llama.cpp quantized with llama.cpp's own logits on the same blocks.
func RunLlamaCpp(t *testing.T, open Open) {
	reference.Numbers(t)
	m := readLlamaCpp(t)
	if len(m.Cases) == 0 {
		t.Fatal("no case")
	}
	for _, c := range m.Cases {
		t.Run(c.Type, func(t *testing.T) {
			f, err := model.Open(Path(t, path.Join(llamaDir, c.File)))
			must(t, err)
			defer func() { _ = f.Close() }()
			e := open(t, f, op.Sizes{Slots: 1, Rows: 64, Seqs: 1, Outs: 64})
			for name, file := range c.Expected {
				for _, chunk := range []int{1, 64} {
					must(t, e.ResetState(0))
					logits := Logits(t, e, 0, m.Prompts[name], chunk)
					checkClose(t, name, logits[len(logits)-1], floats(t, Path(t, path.Join(llamaDir, file))), c.Tolerance.MaxAbs, 0)
				}
			}
		})
	}
}
