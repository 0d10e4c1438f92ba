package weights_test

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

func parse(t testing.TB, data []byte) *weights.File {
	t.Helper()
	f, err := weights.Parse("model.safetensors", data)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func load(t testing.TB, f *weights.File, name string) []byte {
	t.Helper()
	x, err := f.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x.Load()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wantError checks that err is an *Error of this file, in one line that holds every fragment.
func wantError(t *testing.T, err error, fragments ...string) {
	t.Helper()
	var e *weights.Error
	if !errors.As(err, &e) {
		t.Errorf("want a *weights.Error, got %T: %v", err, err)
		return
	}
	if msg := err.Error(); strings.ContainsAny(msg, "\n\r") || len(msg) > 800 {
		t.Errorf("want one short line, got %q", msg)
	}
	for _, s := range fragments {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("want an error with %q, got: %v", s, err)
		}
	}
}

// What is written is what is read, for every type, mapped or in memory, with vectors as vectors.
func TestOpen(t *testing.T) {
	for _, typ := range tensor.Types {
		want := weightstest.RWKV7(weightstest.Tiny, typ, 1)
		data := weightstest.Safetensors(want, map[string]string{"format": "pt", "note": "a\tb"})
		path := filepath.Join(t.TempDir(), "any.name")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		mapped, err := weights.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []*weights.File{mapped, parse(t, data)} {
			if f.Format != "safetensors" || f.Layout != "original" || f.Bytes() != len(data) || f.Meta["note"] != "a\tb" {
				t.Errorf("%s: %s %s %d %v", typ, f.Format, f.Layout, f.Bytes(), f.Meta)
			}
			if names := f.Names(); len(names) != len(want) || !slices.IsSorted(names) {
				t.Errorf("%s: %d names of %d, sorted %v", typ, len(names), len(want), slices.IsSorted(names))
			}
			for _, w := range want {
				data, _ := w.Load()
				if !bytes.Equal(load(t, f, w.Name), data) {
					t.Errorf("%s: %s differs", typ, w.Name)
				}
				shape := w.Shape
				if len(shape) == 3 {
					shape = shape[2:]
				}
				if got := f.Tensors[w.Name]; !slices.Equal(got.Shape, shape) || got.Type != typ || got.Name != w.Name {
					t.Errorf("want %s %s%v, got %s", w.Name, typ, shape, got)
				}
			}
		}
		if err := mapped.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A mapped file that was closed gives errors, not faults; closing twice is fine.
func TestClose(t *testing.T) {
	data := weightstest.Safetensors(weightstest.WebRWKV(weightstest.RWKV7(weightstest.Tiny, tensor.F32, 1)), nil)
	path := filepath.Join(t.TempDir(), "m.st")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"emb.weight", "blocks.0.att.w1"} {
		_, err := f.Tensors[name].Load()
		wantError(t, err, path, name, "closed")
		if !errors.Is(err, weights.ErrClosed) {
			t.Errorf("want ErrClosed, got %v", err)
		}
		wantError(t, f.CheckFinite(f.Tensors[name]), path, name, "closed")
	}
}

// Loads that copy out of the mapping may run while another goroutine closes the file: each gives bytes or ErrClosed.
func TestCloseDuringLoad(t *testing.T) {
	data := weightstest.Safetensors(weightstest.WebRWKV(weightstest.RWKV7(weightstest.Tiny, tensor.F32, 1)), nil)
	path := filepath.Join(t.TempDir(), "m.st")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var loaders sync.WaitGroup
	started := make(chan struct{}, 4)
	for range 4 {
		loaders.Add(1)
		go func() {
			defer loaders.Done()
			for i := 0; ; i++ {
				_, err := f.Tensors["blocks.1.att.g2"].Load()
				if i == 0 {
					started <- struct{}{}
				}
				if err != nil {
					if !errors.Is(err, weights.ErrClosed) {
						t.Errorf("want ErrClosed, got %v", err)
					}
					return
				}
			}
		}()
	}
	for range 4 {
		<-started
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	loaders.Wait()
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	_, cause := os.Stat(filepath.Join(dir, "absent.st"))
	noFile := errors.Unwrap(cause).Error() // in the system's words
	_, err := weights.Open(filepath.Join(dir, "absent.st"))
	wantError(t, err, filepath.Join(dir, "absent.st")+": ", noFile)
	if !errors.Is(err, fs.ErrNotExist) || strings.Count(err.Error(), "absent") != 1 {
		t.Errorf("want fs.ErrNotExist and the path once, got %v", err)
	}
	_, err = weights.Open(dir)
	wantError(t, err, dir, "want a directory of one model", "no such file")

	name, shown := "empty\nname", `empty\nname`
	if runtime.GOOS == "windows" { // which has no such names
		name, shown = "empty", "empty"
	}
	if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = weights.Open(filepath.Join(dir, name))
	wantError(t, err, shown, "an empty file")

	short := filepath.Join(dir, "short")
	if err := os.WriteFile(short, []byte{9, 0, 0, 0, 0, 0, 0, 0, '{'}, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = weights.Open(short)
	wantError(t, err, short, "header length", "got 9")
}

func TestMissingTensor(t *testing.T) {
	f := parse(t, weightstest.Safetensors(weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1), nil))
	for name, hint := range map[string]string{
		"blocks.0.att.w3":  "blocks.0.att.w",
		"blocks.0.attn.a2": "blocks.0.att.a2",
		"head.weights":     "head.weight",
	} {
		_, err := f.Tensor(name)
		wantError(t, err, "model.safetensors: tensor "+name+": missing", "it has "+hint)
		if !errors.Is(err, weights.ErrMissing) {
			t.Errorf("want ErrMissing, got %v", err)
		}
	}
	_, err := f.Tensor("blocks.0.att.time_faaaa")
	wantError(t, err, "missing from the file")
	if strings.Contains(err.Error(), "it has") {
		t.Errorf("hint too far: %v", err)
	}
}

func TestCheckFinite(t *testing.T) {
	for _, typ := range tensor.Types {
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			values := []float32{1, 2, 3, 4, float32(bad), 6}
			b := make([]byte, typ.Bytes(6))
			typ.Encode(b, values)
			f := parse(t, weightstest.Safetensors([]*tensor.Tensor{tensor.FromBytes("blocks.0.x", typ, []int{2, 3}, b)}, nil))
			text := map[bool]string{true: "NaN", false: "Inf"}[math.IsNaN(bad)]
			wantError(t, f.CheckFinite(f.Tensors["blocks.0.x"]), "model.safetensors: tensor blocks.0.x: value", "want finite", text+" at [1 1]")
		}
	}
	if err := weights.CheckFinite(tensor.FromFloats("ok", []int{2}, []float32{math.MaxFloat32, -1e-45})); err != nil {
		t.Error(err)
	}
	wantError(t, weights.CheckFinite(tensor.FromBytes("short", tensor.F32, []int{2}, nil)), "tensor short", "want 8 bytes")
}
