//go:build unix

package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/convert"
	"github.com/rwkv-gpu/rwkv-gpu/model/lora"
	"github.com/rwkv-gpu/rwkv-gpu/model/quant"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// Whatever reads a mapped file, before or in the middle of a load, on any device and in any goroutine, meets the file's
// change as an error that names the file, without reading on.
func TestChangedFiles(t *testing.T) {
	size := weightstest.Size{Vocab: 2048, Embed: 128, Layers: 2, Head: 64, FFN: 1024, W: 8, A: 8, V: 8, G: 8} // several pieces a matrix
	list := weightstest.RWKV7(size, tensor.F16, 1)
	tuned := filepath.Join(t.TempDir(), "lora.pth")
	formats := map[string][]byte{
		"safetensors": weightstest.Safetensors(list, nil),
		"web-rwkv":    weightstest.Safetensors(weightstest.WebRWKV(list), nil),
		"pth":         weightstest.Torch{}.File(list),
		"strided pth": weightstest.Torch{Strided: true}.File(list),
		"GGUF":        weightstest.GGUF(weightstest.LlamaMeta(size), weightstest.Llama(list)),
	}
	// loadFrom has the file change once so many sixteenths of it are loaded.
	loadFrom := func(part int64) func(m *model.Model, d *device.Device, change func() error) error {
		return func(m *model.Model, d *device.Device, change func() error) error {
			e, err := New(m, d, Options{Progress: func(done, all int64) error {
				if done > all*part/16 {
					return change()
				}
				return nil
			}})
			if err == nil {
				err = errors.Join(errors.New("it loaded"), e.Close())
			}
			return err
		}
	}
	save := func(e *convert.Export, err error) error {
		if err != nil {
			return err
		}
		return e.Save(filepath.Join(t.TempDir(), "out"), false, nil)
	}
	type reader struct {
		name    string
		options model.Options
		loras   []lora.File
		read    func(m *model.Model, d *device.Device, change func() error) error
	}
	early := func(read func(m *model.Model, d *device.Device) error) func(*model.Model, *device.Device, func() error) error {
		return func(m *model.Model, d *device.Device, change func() error) error {
			if err := change(); err != nil {
				return err
			}
			return read(m, d)
		}
	}
	readers := []reader{
		{"load from the start", model.Options{}, nil, early(func(m *model.Model, d *device.Device) error { return loadFrom(16)(m, d, nil) })},
		{"quantize while loading", model.Options{Quant: tensor.Q8_0}, nil, loadFrom(8)},
		{"quantize", model.Options{}, nil, early(func(m *model.Model, _ *device.Device) error {
			_, err := quant.Tensor(m.File.Tensors["emb.weight"], tensor.Q8_0).Load()
			return err
		})},
		{"merge", model.Options{}, []lora.File{{Path: tuned, Scale: 1}}, loadFrom(6)},
		{"convert", model.Options{}, nil, early(func(m *model.Model, _ *device.Device) error { return save(convert.Safetensors(m, 0)) })},
		{"convert to another type", model.Options{}, nil, early(func(m *model.Model, _ *device.Device) error { return save(convert.Safetensors(m, tensor.F32)) })},
		{"check numbers", model.Options{}, nil, early(func(m *model.Model, _ *device.Device) error {
			return m.File.CheckFinite(m.File.Tensors["emb.weight"])
		})},
		{"numbers", model.Options{}, nil, early(func(m *model.Model, _ *device.Device) error {
			_, err := m.File.Tensors["head.weight"].Floats()
			return err
		})},
	}
	for part := int64(5); part < 12; part++ { // the embedding is all before
		readers = append(readers, reader{fmt.Sprintf("load from %d/16 on", part), model.Options{}, nil, loadFrom(part)})
	}
	changes := map[string]func(path string) error{
		"cut":     func(path string) error { return os.Truncate(path, 4096) },
		"touched": func(path string) error { return os.Chtimes(path, time.Time{}, time.Now()) },
	}
	eachDevice(t, func(t *testing.T, d *device.Device) {
		path := filepath.Join(t.TempDir(), "m")
		for format, data := range formats {
			for _, r := range readers {
				for how, change := range changes {
					for file, content := range map[string][]byte{path: data, tuned: weightstest.Torch{}.File(weightstest.LoRA(list, 8, tensor.F32, 2))} {
						if err := os.WriteFile(file, content, 0o600); err != nil {
							t.Fatal(err)
						}
					}
					m, err := openWith(path, r.loras, r.options)
					if err != nil {
						t.Fatalf("%s: %v", format, err)
					}
					changed := path
					if r.loras != nil {
						changed = tuned
					}
					err = r.read(m, d, func() error { return change(changed) })
					if !errors.Is(err, weights.ErrChanged) || !strings.Contains(err.Error(), changed+": ") || strings.Contains(err.Error(), "\n") {
						t.Errorf("%s, %s, %s: want an error that the file changed, got %v", format, r.name, how, err)
					}
					if err := m.Close(); err != nil {
						t.Error(err)
					}
				}
			}
		}
	})
}

// openWith opens a model with LoRAs.
func openWith(path string, loras []lora.File, o model.Options) (*model.Model, error) {
	f, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	if f, _, err = lora.Apply(f, loras); err != nil {
		return nil, err
	}
	return model.NewWith(f, o)
}
