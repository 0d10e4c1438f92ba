package vulkan

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// BenchmarkLoad compares loading a model with what it cannot do without: reading the file once, and bringing as many
// bytes to the device. Loading should take at most half as long again as both together.
func BenchmarkLoad(b *testing.B) {
	size := weightstest.Size{Vocab: 65536, Embed: 512, Layers: 12, Head: 64, FFN: 2048, W: 64, A: 64, V: 32, G: 128}
	path := filepath.Join(b.TempDir(), "m.safetensors")
	if err := os.WriteFile(path, weightstest.Safetensors(weightstest.RWKV7(size, tensor.F16, 1), nil), 0o600); err != nil {
		b.Fatal(err)
	}
	m, err := model.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	k := kernels(b)
	try := func(name string, do func() error) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(m.File.Bytes()))
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	try("read", func() error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, make([]byte, 128<<10))
		return err
	})
	data := make([]byte, size.Vocab*size.Embed*2)
	try("upload", func() error {
		var list []*gpu.Buffer
		for _, w := range m.Program.Of(op.Weight) {
			n := w.Source.Type.Bytes(w.Width)
			buf, err := k.set.Dev.NewBuffer(w.Name, n, gpu.DeviceLocal)
			if err != nil {
				return err
			}
			list = append(list, buf)
			if err := k.set.Dev.Upload(buf.All(), data[:n]); err != nil {
				return err
			}
		}
		for _, buf := range list {
			buf.Release()
		}
		return nil
	})
	try("load", func() error {
		m, err := model.Open(path)
		if err != nil {
			return err
		}
		e, err := newProber(k, m.Program, Options{Sizes: op.Sizes{Slots: 1, Rows: 64, Seqs: 1, Outs: 1}})
		if err != nil {
			return err
		}
		if err := e.Close(); err != nil {
			return err
		}
		return m.Close()
	})
}
