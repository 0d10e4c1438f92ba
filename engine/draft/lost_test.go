package draft

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
)

// A text goes on when the draft's device is lost, at any of the draft's calls: with the draft if the device can be opened
// anew, else without it, which is told once.
func TestDraftLost(t *testing.T) {
	ctl := gputest.Faulty(t)
	if ctl == nil {
		return
	}
	main := newEngine(t, stranger(t, 67, 1), &device.Device{}, engine.Options{Slots: 2 + Slots})
	begin := func() *teller {
		return newTeller(t, main, []int{3}, newSampler(t, sample.Params{Temperature: 1, TopP: 1, Seed: 5}, 67))
	}
	want := begin()
	want.plain(t, main, 31)
	for _, c := range []struct {
		mode faultvk.Mode
		at   int // of the calls that run something
	}{{faultvk.Once, 1}, {faultvk.Once, 2}, {faultvk.Sticky, 1}, {faultvk.Sticky, 3}} {
		dev, err := device.Open("gpu", nil)
		if err != nil {
			t.Fatal(err)
		}
		small, err := engine.New(stranger(t, 67, 1), dev, engine.Options{Slots: SmallSlots})
		if err != nil {
			t.Fatal(err)
		}
		d := newDrafterOn(t, main, small, 4)
		var lines []string
		d.options.Notice = func(line string) { lines = append(lines, line) }
		got := begin()
		got.drafted(t, d, 6)
		before := d.Stats()
		if err := ctl.Begin(faultvk.Fault{Function: "vkQueueSubmit", At: c.at, Result: faultvk.DeviceLost, Mode: c.mode}); err != nil {
			t.Fatal(err)
		}
		got.drafted(t, d, 15)
		r, err := ctl.Report()
		if err = errors.Join(err, ctl.Begin(faultvk.Fault{})); err != nil || !r.Fired {
			t.Fatalf("%v: no loss at call %d (%v)", c.mode, c.at, err)
		}
		got.drafted(t, d, 10)
		if !slices.Equal(want.text, got.text) || !slices.Equal(want.state(t, main), got.state(t, main)) {
			t.Errorf("%v, call %d: %v, without a draft %v; or another state", c.mode, c.at, got.text, want.text)
		}
		after := d.Stats()
		switch gone := c.mode == faultvk.Sticky; {
		case after.Off != gone || before.Off || before.Accepted == 0:
			t.Errorf("%v, call %d: %+v, before the loss %+v", c.mode, c.at, after, before)
		case gone && (len(lines) != 1 || !strings.Contains(lines[0], "the draft failed, so decoding goes on without it")):
			t.Errorf("%v, call %d: told %q", c.mode, c.at, lines)
		case !gone && (len(lines) != 0 || after.Accepted <= before.Accepted):
			t.Errorf("%v, call %d: told %q; %+v, before the loss %+v", c.mode, c.at, lines, after, before)
		}
		got.c.Seq.Release()
		d.Close()
		_, _ = small.Close(), dev.Close() // of a lost device
	}
}
