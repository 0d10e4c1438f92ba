package tune

import (
	"errors"
	"math"
	"testing"
	"time"
)

// Whichever way is the faster one on a device that is awake is found on one that sleeps at first, and whose driver
// makes each kernel when it first runs; ten in eleven is not enough for texels.
func TestByTurns(t *testing.T) {
	buffers, texels := Form{Kernel: "buffers"}, Form{Kernel: "texels"}
	for _, c := range []struct {
		buffers, texels time.Duration
		want            Form
	}{
		{2 * time.Millisecond, time.Millisecond, texels}, {time.Millisecond, 2 * time.Millisecond, buffers},
		{110 * time.Microsecond, 100 * time.Microsecond, buffers}, {200 * time.Microsecond, 100 * time.Microsecond, texels},
		{300 * time.Millisecond, 100 * time.Millisecond, texels}, {0, 0, buffers},
	} {
		var worked time.Duration
		made := map[Form]bool{}
		best, took, err := ByTurns([2]Form{buffers, texels}, func(l Form) (time.Duration, error) {
			d := map[Form]time.Duration{buffers: c.buffers, texels: c.texels}[l]
			if worked < 150*time.Millisecond {
				d *= 10
			}
			if !made[l] {
				made[l], d = true, d+30*time.Millisecond
			}
			worked += d
			return d, nil
		})
		if want := map[Form]time.Duration{buffers: c.buffers, texels: c.texels}[c.want]; err != nil || best != c.want || took != want {
			t.Errorf("%s against %s: want %s, %s, got %s, %s (%v)", c.buffers, c.texels, c.want, want, best, took, err)
		}
		if most := 500*time.Millisecond + 13*(c.buffers+c.texels); worked > most {
			t.Errorf("%s against %s: took %s", c.buffers, c.texels, worked)
		}
	}
	failed := errors.New("lost")
	if _, _, err := ByTurns([2]Form{buffers, texels}, func(Form) (time.Duration, error) { return 0, failed }); !errors.Is(err, failed) {
		t.Errorf("want %v, got %v", failed, err)
	}
}

func TestAlike(t *testing.T) {
	want := []float32{1, -2, 3}
	for _, c := range []struct {
		got  []float32
		want bool
	}{
		{[]float32{1, -2, 3}, true}, {[]float32{1, -2.0001, 3}, true}, {[]float32{1, -2.01, 3}, false},
		{[]float32{1, float32(math.NaN()), 3}, false}, {[]float32{float32(math.Inf(1)), -2, 3}, false},
	} {
		if Alike(c.got, want, []float32{0, 0, 0}) != c.want {
			t.Errorf("%v against %v: want %v", c.got, want, c.want)
		}
	}
	// What no product wrote does not make an error of small results smaller.
	if Alike([]float32{0.001, 7}, []float32{0.0012, 7}, []float32{3, 7}) {
		t.Error("want 0.001 to differ from 0.0012 beside what was there before")
	}
}
