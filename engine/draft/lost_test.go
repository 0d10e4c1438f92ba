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

// When the device that both models run on is lost, the caller is told, opens it anew and feeds what the sequence has not
// seen. The text goes on, with the draft.
func TestBothLost(t *testing.T) {
	ctl := gputest.Faulty(t)
	if ctl == nil {
		return
	}
	dev, err := device.Open("gpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
	main := newEngine(t, stranger(t, 67, 1), dev, engine.Options{Slots: 2 + Slots, Keep: 4, Exact: true})
	small := newEngine(t, stranger(t, 67, 1), dev, engine.Options{Slots: SmallSlots})
	begin := func() *teller {
		return newTeller(t, main, []int{3}, newSampler(t, sample.Params{Temperature: 1, TopP: 1, Seed: 5}, 67))
	}
	want := begin()
	want.plain(t, main, 31)
	for at := 1; at <= 5; at++ {
		d := newDrafterOn(t, main, small, 4)
		got := begin()
		got.drafted(t, d, 6)
		before := d.Stats()
		if err := ctl.Begin(faultvk.Fault{Function: "vkQueueSubmit", At: at, Result: faultvk.DeviceLost}); err != nil {
			t.Fatal(err)
		}
		list, last := []engine.Continuation{got.c}, got.c.Token
		_, err := d.Burst(t.Context(), list, slices.Clone(got.text), 25, func(_, id int) bool {
			got.c = list[0]
			got.take(last, id)
			last = id
			return true
		})
		got.c = list[0]
		if !errors.Is(err, engine.ErrDeviceLost) {
			t.Fatalf("call %d: want the device lost, got %v", at, err)
		}
		if err := errors.Join(main.Reopen(t.Context()), ctl.Begin(faultvk.Fault{})); err != nil {
			t.Fatal(err)
		}
		if n := d.Unfed(); n > 0 {
			rows := []engine.Row{{Seq: got.c.Seq, Tokens: got.text[len(got.text)-n:]}}
			if err := errors.Join(main.Feed(t.Context(), rows), rows[0].Err); err != nil {
				t.Fatal(err)
			}
		}
		got.drafted(t, d, 31-len(got.told))
		if !slices.Equal(want.text, got.text) || !slices.Equal(want.state(t, main), got.state(t, main)) {
			t.Errorf("call %d: %v, without a draft %v; or another state", at, got.text, want.text)
		}
		if after := d.Stats(); after.Off || after.Accepted <= before.Accepted {
			t.Errorf("call %d: %+v, before the loss %+v", at, after, before)
		}
		got.c.Seq.Release()
		d.Close()
	}
}
