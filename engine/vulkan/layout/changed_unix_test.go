//go:build unix

package layout

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// A file that is cut while several cores send one of its matrices is an error of the file on each of them.
func TestMatrixFillOfCutFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m")
	size := weightstest.Size{Vocab: 2048, Embed: 256, Layers: 1, Head: 64, FFN: 64, W: 4, A: 4, V: 4, G: 4}
	if err := os.WriteFile(path, weightstest.Safetensors(weightstest.RWKV7(size, tensor.F32, 1), nil), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	source := f.Tensors["emb.weight"]
	data, err := source.Load()
	if err != nil {
		t.Fatal(err)
	}
	m := newMatrix(nil, &op.Operand{Shape: source.Shape, Source: source}, data)
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	err = tensor.Guard(func() error {
		_, err := m.fill(make([]byte, m.rows*m.to), 0, 0, m.rows, 0)
		return err
	})
	if !errors.Is(err, weights.ErrChanged) {
		t.Errorf("want the error that the file changed, got %v", err)
	}
}
