package engine

import (
	"errors"
	"runtime"
	"testing"
	"weak"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

// pairing is two engines on one device with a sequence each.
type pairing struct {
	t    *testing.T
	ctl  *faultvk.Control
	d    *device.Device
	e    [2]*Engine
	seqs [2]*Seq
	want [2][]float32 // their states
}

var pairTokens = []int{5, 66, 0, 17}

// newPairing returns nil where the test runs in another process. The device is a split one if more than one is named.
func newPairing(t *testing.T, specs ...string) *pairing {
	ctl := gputest.Faulty(t)
	if ctl == nil {
		return nil
	}
	p := &pairing{t: t, ctl: ctl}
	var err error
	if len(specs) > 1 {
		p.d, err = device.OpenSplit(specs, []float64{1, 1}, nil)
	} else {
		p.d, err = device.Open("gpu", nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	m := golden.Tiny(t)
	for i := range p.e {
		if p.e[i], err = New(m, p.d, Options{Slots: 2, Keep: 3}); err != nil {
			t.Fatal(err)
		}
		p.seqs[i] = newSeq(t, p.e[i])
		step(t, p.e[i], input{p.seqs[i], pairTokens, 1})
		p.want[i] = mustState(t, p.e[i], p.seqs[i])
	}
	return p
}

// fault has the first call of a function fail.
func (p *pairing) fault(function string, result int32) {
	p.t.Helper()
	if err := p.ctl.Begin(faultvk.Fault{Function: function, At: 1, Result: result}); err != nil {
		p.t.Fatal(err)
	}
}

// lost wants the error of a lost device.
func (p *pairing) lost(what string, err error) {
	p.t.Helper()
	var of *device.Error
	if !errors.Is(err, ErrDeviceLost) || !errors.As(err, &of) {
		p.t.Fatalf("%s: want the device lost, got %v", what, err)
	}
}

// allLost wants it of whatever an engine is asked for.
func (p *pairing) allLost(i int) {
	p.t.Helper()
	e, s := p.e[i], p.seqs[i]
	p.lost("a pass", e.Pass(p.t.Context(), []Row{{Seq: s, Tokens: pairTokens}}))
	smp := newSampler(p.t, sample.Params{}, e)
	p.lost("a burst", second(e.Burst(p.t.Context(), []Continuation{{Seq: s, Sampler: smp}}, 1, nil)))
	p.lost("a sequence", second(e.NewSeq(nil)))
	p.lost("a fork", second(e.Fork(s)))
	p.lost("a state", second(e.Save([]*Seq{s}, [][]float32{make([]float32, len(p.want[i]))})))
	p.lost("a given state", second(e.Restore([]*Seq{s}, [][]float32{nil})))
	p.lost("times", second(e.PassTimes([]Row{{Seq: s, Tokens: pairTokens}})))
}

// reopen opens an engine anew, after which its sequence has its state.
func (p *pairing) reopen(i int) {
	p.t.Helper()
	if err := p.e[i].Reopen(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	p.same(i)
}

// same wants the state of an engine's sequence to be what it was.
func (p *pairing) same(i int) {
	p.t.Helper()
	if off := distance(mustState(p.t, p.e[i], p.seqs[i]), p.want[i]); !(off < 1e-4) {
		p.t.Errorf("engine %d: the state is off by %g", i, off)
	}
}

// end closes all, after which nothing is left.
func (p *pairing) end() {
	p.t.Helper()
	err := errors.Join(p.e[0].Close(), p.e[1].Close(), p.d.Close())
	r, failed := p.ctl.Report()
	if err := errors.Join(err, failed); err != nil || r.Live != "" || r.Strange != 0 {
		p.t.Errorf("%v; left: %+v", err, r)
	}
}

// A device that is lost again while an engine is made anew is opened once more by the next Reopen. Another engine on it
// is told that it was lost, whatever it is asked for, until it is made anew as well.
func TestReopenAgain(t *testing.T) { reopenAgain(t, "gpu") }

// So it is if the device is one of several that share the layers.
func TestReopenAgainSplit(t *testing.T) { reopenAgain(t, "gpu", "cpu") }

func reopenAgain(t *testing.T, specs ...string) {
	p := newPairing(t, specs...)
	if p == nil {
		return
	}
	pass := func() error { return p.e[0].Pass(t.Context(), []Row{{Seq: p.seqs[0], Tokens: pairTokens}}) }
	p.fault("vkQueueSubmit", faultvk.DeviceLost)
	p.lost("a pass", pass())
	p.fault("vkQueueSubmit", faultvk.DeviceLost)
	p.lost("the weights' way to the device", p.e[0].Reopen(t.Context()))
	p.lost("a pass without an executor", pass())
	p.reopen(0)
	p.allLost(1)
	p.reopen(1)
	p.end()
}

// Where several goroutines reopen an engine after one loss, the device is opened once, and another engine that is made
// anew meanwhile goes on.
func TestReopenTwice(t *testing.T) {
	p := newPairing(t)
	if p == nil {
		return
	}
	p.fault("vkQueueSubmit", faultvk.DeviceLost)
	p.lost("a pass", p.e[0].Pass(t.Context(), []Row{{Seq: p.seqs[0], Tokens: pairTokens}}))
	for _, i := range []int{0, 1, 0, 0, 1} {
		p.reopen(i)
		if i == 1 || p.e[1].Stats().Reopened > 0 {
			p.same(1)
		}
	}
	p.same(0)
	p.end()
}

// A device that cannot be opened anew, as long as there is no memory for it, is lost for another engine on it, too, for
// one that is new, and for who asks how much it holds. Whichever is reopened first opens it.
func TestReopenFails(t *testing.T) { reopenFails(t, "gpu") }

func TestReopenFailsSplit(t *testing.T) { reopenFails(t, "cpu", "gpu") }

func reopenFails(t *testing.T, specs ...string) {
	p := newPairing(t, specs...)
	if p == nil {
		return
	}
	for _, first := range []int{1, 0} {
		p.fault("vkQueueSubmit", faultvk.DeviceLost)
		p.lost("a pass", p.e[0].Pass(t.Context(), []Row{{Seq: p.seqs[0], Tokens: pairTokens}}))
		p.fault("vkCreateDevice", faultvk.OutOfDeviceMemory)
		if err := p.e[0].Reopen(t.Context()); !errors.Is(err, ErrOutOfMemory) {
			t.Fatalf("want no memory, got %v", err)
		}
		if err := second(p.e[0].NewSeq(nil)); !errors.Is(err, ErrOutOfMemory) {
			t.Errorf("the engine that could not be opened: want no memory, got %v", err)
		}
		p.allLost(1)
		p.lost("a new engine", second(New(golden.Tiny(t), p.d, Options{})))
		if p.d.HasRoom(1) {
			t.Error("a device that is not open has room")
		}
		p.reopen(first)
		if first == 0 {
			p.allLost(1)
		}
		p.reopen(1 - first)
	}
	p.end()
}

// An engine that is closed is nobody's any more, though its device stays open, also where it could not be made anew.
func TestClosedAfterReopenFails(t *testing.T) {
	d := new(device.Device)
	there := closedAfterReopenFails(t, d)
	for i := 0; there.Value() != nil; i++ {
		if runtime.GC(); i == 10 {
			t.Fatal("the engine is still held")
		}
	}
	runtime.KeepAlive(d)
}

func closedAfterReopenFails(t *testing.T, d *device.Device) weak.Pointer[Engine] {
	var failed error
	e, err := New(golden.Tiny(t), d, Options{Progress: func(int64, int64) error { return failed }})
	if err != nil {
		t.Fatal(err)
	}
	failed = errors.New("no weights")
	if err := e.Reopen(t.Context()); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	return weak.Make(e)
}
