package engine

import (
	"errors"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

// Swapped sequences have each other's states, also after these were made again, and none is lost or doubled.
func TestSwap(t *testing.T) {
	m := golden.Tiny(t)
	eachDevice(t, func(t *testing.T, d *device.Device) {
		e := newEngine(t, m, d, Options{Slots: 3, Keep: 2, Exact: true})
		a, b, gone := newSeq(t, e), newSeq(t, e), newSeq(t, e)
		gone.Release()
		step(t, e, input{a, []int{1, 2, 3}, 0}) // its state is read from here on
		before := [][]float32{mustState(t, e, a), mustState(t, e, b)}
		for i := range 3 {
			if err := e.Swap(a, b); err != nil {
				t.Fatal(err)
			}
			if i == 1 {
				if err := e.Reopen(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			slices.Reverse(before)
			if !slices.Equal(mustState(t, e, a), before[0]) || !slices.Equal(mustState(t, e, b), before[1]) {
				t.Fatalf("swap %d: other states", i)
			}
		}
		if err := e.Swap(a, gone); !errors.Is(err, ErrNotInUse) {
			t.Errorf("a released sequence: %v", err)
		}
		if err := e.Swap(a, a); err != nil || !slices.Equal(mustState(t, e, a), before[0]) {
			t.Errorf("a sequence with itself: %v", err)
		}
		b.Release()
		if s := e.Stats(); s.InUse != 1 {
			t.Errorf("%d slots are in use", s.InUse)
		}
		if _, err := e.Fork(a); err != nil {
			t.Error(err)
		}
	})
}
