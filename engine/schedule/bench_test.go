package schedule

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/synthetic"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// benchEngine loads a model of the size of the 0.1B one, with so many slots, to the Vulkan device.
func benchEngine(b *testing.B, slots int) *engine.Engine {
	size, err := synthetic.Named("0.1b")
	if err != nil {
		b.Fatal(err)
	}
	f, err := synthetic.New(size, tensor.F16, 1)
	if err != nil {
		b.Fatal(err)
	}
	m, err := model.New(f)
	if err != nil {
		b.Fatal(err)
	}
	d, err := device.Open("gpu", nil)
	if err != nil {
		b.Fatal(err)
	}
	d.Tune(false, func(s string) { b.Log(s) })
	e, err := engine.New(m, d, engine.Options{Slots: slots})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := errors.Join(e.Close(), d.Close()); err != nil {
			b.Error(err)
		}
	})
	return e
}

// decoders starts requests that draw without end until stop; token is told of each token.
func decoders(b *testing.B, s *Scheduler, n, vocab int, token func(i int)) (stop func()) {
	var jobs []*Job
	vocabulary := sample.NewVocabulary(vocab, nil)
	for i := range n {
		p := sample.Default()
		p.Seed = uint64(i)
		smp, err := sample.New(p, vocabulary)
		if err != nil {
			b.Fatal(err)
		}
		j, err := s.Submit(context.Background(), Request{Prompt: []int{1 + i}, Max: 1 << 30, Sampler: smp, Token: func(Token) bool {
			token(i)
			return true
		}})
		if err != nil {
			b.Fatal(err)
		}
		jobs = append(jobs, j)
	}
	return func() {
		for _, j := range jobs {
			j.Cancel()
		}
		for _, j := range jobs {
			<-j.Done()
		}
	}
}

// BenchmarkSequences measures the tokens per second of all sequences together, of one and of more, by turns, and the
// time of processors for a token, by which devices that are processors can be compared on a machine that has other work
// too.
func BenchmarkSequences(b *testing.B) {
	e := benchEngine(b, 32)
	for _, n := range []int{1, 8, 32} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := New(e, Options{})
			drawn := make(chan struct{}, 1<<16)
			stop := decoders(b, s, n, e.Model.Vocab, func(int) {
				select {
				case drawn <- struct{}{}:
				default:
				}
			})
			for range 8 * n { // until kernels are made and measured
				<-drawn
			}
			b.ResetTimer()
			before := processorTime(b)
			for range b.N {
				<-drawn
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tok/s")
			b.ReportMetric((processorTime(b)-before).Seconds()*1000/float64(b.N), "cpu-ms/tok")
			go func() {
				for range drawn { // so that nothing waits
				}
			}()
			stop()
			s.Close(context.Background())
			close(drawn)
		})
	}
}

// BenchmarkPromptBeside measures the longest that a token of 8 sequences waits while a prompt of 4,096 tokens is fed.
func BenchmarkPromptBeside(b *testing.B) {
	e := benchEngine(b, 9)
	s := New(e, Options{})
	last := make([]time.Time, 8)
	var longest time.Duration
	var measuring atomic.Bool
	stop := decoders(b, s, len(last), e.Model.Vocab, func(i int) {
		now := time.Now()
		if measuring.Load() && !last[i].IsZero() {
			longest = max(longest, now.Sub(last[i]))
		}
		last[i] = now
	})
	feed := func(tokens int) {
		j, err := s.Submit(context.Background(), Request{Prompt: make([]int, tokens)})
		if err == nil {
			err = j.Err()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	feed(512) // until kernels are made and measured
	measuring.Store(true)
	b.ResetTimer()
	for range b.N {
		feed(4096)
	}
	b.StopTimer()
	measuring.Store(false)
	stop()
	s.Close(context.Background())
	b.ReportMetric(float64(longest.Milliseconds()), "longest-ms")
	b.ReportMetric(float64(4096*b.N)/b.Elapsed().Seconds(), "prompt-tok/s")
}
