package completion

import (
	"errors"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/load"
)

// BenchmarkBegin compares what a sequence may begin with: a state in host memory, or one in another slot of the device;
// and the least that follows, a pass of six tokens.
func BenchmarkBegin(b *testing.B) {
	m, err := load.Open(load.Options{Model: "synthetic:0.1b"})
	if err != nil {
		b.Fatal(err)
	}
	dev, err := device.Open("gpu", nil)
	if err != nil {
		b.Fatal(err)
	}
	e, err := engine.New(m.Model, dev, engine.Options{Slots: 3})
	if err != nil {
		b.Fatal(err)
	}
	other, err := e.NewSeq(nil)
	if err != nil {
		b.Fatal(err)
	}
	state := make([]float32, m.Program.StateLen())
	feed := func(s *engine.Seq) {
		rows := []engine.Row{{Seq: s, Tokens: []int{1, 2, 3, 4, 5, 6}, Want: engine.WantLogits, Each: func(int, []float32) error { return nil }}}
		if err := errors.Join(e.Feed(b.Context(), rows), rows[0].Err); err != nil {
			b.Fatal(err)
		}
	}
	feed(other) // which compiles kernels
	for name, begin := range map[string]func() (*engine.Seq, error){
		"host":   func() (*engine.Seq, error) { return e.NewSeq(state) },
		"device": func() (*engine.Seq, error) { return e.Fork(other) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s, err := begin()
				if err != nil {
					b.Fatal(err)
				}
				feed(s)
				s.Release()
			}
		})
		b.Run(name+" alone", func(b *testing.B) {
			for b.Loop() {
				s, err := begin()
				if err != nil {
					b.Fatal(err)
				}
				t, err := e.Save([]*engine.Seq{s}, [][]float32{state}) // which waits for the copy, and costs the same for both
				if err := errors.Join(err, t.Wait()); err != nil {
					b.Fatal(err)
				}
				s.Release()
			}
		})
	}
	if err := errors.Join(e.Close(), dev.Close(), m.Close()); err != nil {
		b.Error(err)
	}
}
