package vulkan

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
)

// Whichever way is the faster one on a device that is awake is found on one that sleeps at first, and whose driver makes each
// kernel when it first runs; ten in eleven is not enough for texels.
func TestContestOfLoads(t *testing.T) {
	for _, c := range []struct {
		buffers, texels time.Duration
		want            profile.Loads
	}{
		{2 * time.Millisecond, time.Millisecond, profile.Texels}, {time.Millisecond, 2 * time.Millisecond, profile.Buffers},
		{110 * time.Microsecond, 100 * time.Microsecond, profile.Buffers}, {200 * time.Microsecond, 100 * time.Microsecond, profile.Texels},
		{300 * time.Millisecond, 100 * time.Millisecond, profile.Texels}, {0, 0, profile.Buffers},
	} {
		var worked time.Duration
		made := map[profile.Loads]bool{}
		best, took, err := contestOfLoads(func(l profile.Loads) (time.Duration, error) {
			d := map[profile.Loads]time.Duration{profile.Buffers: c.buffers, profile.Texels: c.texels}[l]
			if worked < 150*time.Millisecond {
				d *= 10
			}
			if !made[l] {
				made[l], d = true, d+30*time.Millisecond
			}
			worked += d
			return d, nil
		})
		if want := map[profile.Loads]time.Duration{profile.Buffers: c.buffers, profile.Texels: c.texels}[c.want]; err != nil || best != c.want || took != want {
			t.Errorf("%s against %s: want %s, %s, got %s, %s (%v)", c.buffers, c.texels, c.want, want, best, took, err)
		}
		if most := 500*time.Millisecond + 13*(c.buffers+c.texels); worked > most {
			t.Errorf("%s against %s: took %s", c.buffers, c.texels, worked)
		}
	}
	failed := errors.New("lost")
	if _, _, err := contestOfLoads(func(profile.Loads) (time.Duration, error) { return 0, failed }); !errors.Is(err, failed) {
		t.Errorf("want %v, got %v", failed, err)
	}
}

// The way to load is measured once and kept: the next start takes it, whatever a measurement would say then.
func TestLoadsKept(t *testing.T) {
	dev, path := kernels(t).dev, filepath.Join(t.TempDir(), "tuning.json")
	measure := func(tuner *Tuner) profile.Loads {
		t.Helper()
		k := NewKernels(dev)
		defer k.Release()
		l, err := k.measure(tuner)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	first := measure(NewTuner(path, false, nil))
	if again := measure(NewTuner(path, false, nil)); again != first {
		t.Errorf("first %s, then %s", first, again)
	}
	tuner := NewTuner(path, false, nil)
	for key, found := range tuner.found {
		for _, l := range []profile.Loads{profile.Buffers, profile.Texels} {
			found.Kernel = l.String()
			tuner.take(key, found)
			if got := measure(NewTuner(path, false, nil)); got != l {
				t.Errorf("%s: want the kept %s, got %s", key, l, got)
			}
		}
		found.Kernel = "neither"
		tuner.take(key, found)
	}
	if len(tuner.found) != 1 {
		t.Errorf("want one entry, got %v", tuner.found)
	}
	anew := NewTuner(path, false, nil)
	got := measure(anew)
	for key, found := range anew.found {
		if found.Kernel != got.String() || found.Micros == 0 {
			t.Errorf("%s: want it measured anew, got %s, kept %+v", key, got, found)
		}
	}
}
