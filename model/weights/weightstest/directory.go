package weightstest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Directory writes tensors with a config.json, as a Hugging Face directory, and returns its path.
func Directory(tb testing.TB, tensors []*tensor.Tensor, config map[string]any) string {
	tb.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	for name, data := range map[string][]byte{"model.safetensors": Safetensors(tensors, nil), "config.json": text} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}
