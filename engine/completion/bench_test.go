package completion

import (
	"cmp"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
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

// BenchmarkReadAgain compares what an answer of 256 tokens takes with what it takes to read its end again, for the state
// exactly behind it, with the states within it that Request.Returned keeps and without. Whoever asks for that state waits
// for both.
func BenchmarkReadAgain(b *testing.B) {
	for _, name := range []string{"", "synthetic:0.1b"} {
		for _, returned := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/states within %t", cmp.Or(name, "demo"), returned), func(b *testing.B) {
				m, err := load.Open(load.Options{Model: name})
				if err != nil {
					b.Fatal(err)
				}
				tok, err := m.Tokenizer()
				if name != "" {
					tok, err = tokenizer.Open(reference.Shared(b, "vocab", "rwkv_vocab_v20230424.txt"))
				}
				if err != nil {
					b.Fatal(err)
				}
				dev, err := device.Open("gpu", nil)
				if err != nil {
					b.Fatal(err)
				}
				e, err := engine.New(m.Model, dev, engine.Options{Slots: 1})
				if err != nil {
					b.Fatal(err)
				}
				s, err := New(e, tok, Options{Cache: statecache.Options{Host: 1 << 28}})
				if err != nil {
					b.Fatal(err)
				}
				var answer, again time.Duration
				ask := func(i int) {
					p := chat("", fmt.Sprintf("Tell me a story, number %d.", i))
					start := time.Now()
					c, err := s.Start(b.Context(), Request{Prompt: p, Max: 256, Returned: returned, Sample: sample.Params{Ban: []int{0}}})
					if err != nil {
						b.Fatal(err)
					}
					r, err := c.Result()
					if err != nil {
						b.Fatal(err)
					}
					drawn := time.Now()
					ids := r.IDs[:len(r.IDs)-3] // without what would be of a stop string
					p = append(p, statecache.Segment{Text: string(tokenizer.Decode(tok, ids)), IDs: ids})
					if _, _, err := s.State(b.Context(), Request{Prompt: p}); err != nil {
						b.Fatal(err)
					}
					answer, again = answer+drawn.Sub(start), again+time.Since(drawn)
				}
				ask(-1) // which compiles kernels
				answer, again = 0, 0
				for i := 0; b.Loop(); i++ {
					ask(i)
				}
				b.ReportMetric(answer.Seconds()*1e3/float64(b.N), "ms/answer")
				b.ReportMetric(again.Seconds()*1e3/float64(b.N), "ms/again")
				if err := errors.Join(s.Close(b.Context()), e.Close(), dev.Close(), m.Close()); err != nil {
					b.Error(err)
				}
			})
		}
	}
}
