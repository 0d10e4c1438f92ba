package generate

import (
	"context"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// shared are the kernels of all tests.
var shared *vulkan.Kernels

func TestMain(m *testing.M) { gputest.Main(m, func() { shared.Release() }) }

// vulkanDevice returns the Vulkan device of the tests, which fail on any validation message and any leak.
func vulkanDevice(tb testing.TB) *device.Device {
	d := gputest.Shared(tb)
	if shared == nil {
		shared = vulkan.NewKernels(d)
	}
	return device.On(d, shared)
}

// eachDevice runs a test on the CPU and on the Vulkan device.
func eachDevice(t *testing.T, test func(t *testing.T, d *device.Device)) {
	t.Run("cpu", func(t *testing.T) { test(t, &device.Device{}) })
	t.Run("vulkan", func(t *testing.T) { test(t, vulkanDevice(t)) })
}

// demo returns the embedded model and its vocabulary.
func demo(tb testing.TB) (*model.Model, tokenizer.Tokenizer) {
	tb.Helper()
	m, err := load.Open(load.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tok, err := m.Tokenizer()
	if err != nil {
		tb.Fatal(err)
	}
	return m.Model, tok
}

// encode returns the ids of a text that the vocabulary can spell.
func encode(tok tokenizer.Tokenizer, text string) []int {
	ids, err := tokenizer.Encode(tok, text)
	if err != nil {
		panic(err)
	}
	return ids
}

func newEngine(tb testing.TB, m *model.Model, d *device.Device, o engine.Options) *engine.Engine {
	tb.Helper()
	e, err := engine.New(m, d, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
	return e
}

func newSeq(tb testing.TB, e *engine.Engine) *engine.Seq {
	tb.Helper()
	s, err := e.NewSeq(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// restart gives a sequence the initial state.
func restart(tb testing.TB, e *engine.Engine, s *engine.Seq) {
	tb.Helper()
	t, err := e.Restore([]*engine.Seq{s}, [][]float32{nil})
	if err == nil {
		err = t.Wait()
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// countdown is a context that is done when it was asked so many times.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}
