//go:build unix

package kernel

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"unsafe"

	"github.com/edsrzf/mmap-go"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// A kernel that reads where a mapped file was cut returns the address, on every thread, again and again. Go's own
// faults go on to be Go's.
func TestFault(t *testing.T) {
	const m, k = 4096, 64
	path := filepath.Join(t.TempDir(), "weights")
	if err := os.WriteFile(path, make([]byte, 4*m*k), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	data, err := mmap.Map(file, mmap.RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := data.Unmap(); err != nil {
			t.Error(err)
		}
	}()
	if err := os.Truncate(path, 2*m*k); err != nil {
		t.Fatal(err)
	}
	p := &Product{W: data, Type: tensor.F32, M: m, K: k, X: Rows{alloc(t, k), k}, Scale: 1, Act: op.Identity, Y: Rows{alloc(t, m), m}}
	part, start := NewPart(p), uintptr(unsafe.Pointer(&data[0]))
	var wg sync.WaitGroup
	for range 4 {
		own := *p
		own.byColumns(t, MostTile)
		byColumns := NewPart(&own)
		wg.Add(1)
		go func() {
			defer wg.Done()
			work := alloc(t, WorkLen(m, k, 1))
			for _, l := range Levels() {
				for range 20 {
					var f *Fault
					if err := l.MatMul(part, 0, m, 1, work); err != nil && !errors.As(err, &f) {
						t.Errorf("%v", err)
					} else if f == nil || f.Addr < start || f.Addr >= start+4*m*k {
						t.Errorf("%v: want a fault within %#x and %d bytes", f, start, 4*m*k)
					}
					if err := l.ToColumns(byColumns, 0, m); !errors.As(err, &f) {
						t.Errorf("by columns: %v, want a fault", err)
					}
					if err := l.MatMul(part, 0, m/4, 1, work); err != nil { // what is there
						t.Error(err)
					}
				}
			}
		}()
	}
	wg.Wait()
	err = tensor.Guard(func() error {
		defer func() {
			if recover() == nil {
				t.Error("a fault of Go is not seen")
			}
		}()
		t.Log(data[len(data)-1])
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
