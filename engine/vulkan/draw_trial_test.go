package vulkan

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
)

// Where tokens are drawn is what the measurement says, which is made once and kept; where nothing may be measured, a
// processor draws from large vocabularies on the host.
func TestDrawsOnDevice(t *testing.T) {
	k := kernels(t)
	on := func(tuner *Tuner, d Draws, vocab, seqs int) bool {
		t.Helper()
		e, _ := drawExec(t, k, profile.Buffers, 4, vocab)
		e.tuner, e.draws = tuner, d
		first, err := e.DrawsOnDevice(seqs)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := e.DrawsOnDevice(seqs); err != nil || again != first {
			t.Errorf("first %v, then %v (%v)", first, again, err)
		}
		return first
	}
	for _, c := range []struct {
		d     Draws
		vocab int
		want  bool
	}{
		{FasterDraws, largeVocabulary - 1, true}, {FasterDraws, largeVocabulary, !k.shape.CPU},
		{DeviceDraws, largeVocabulary, true}, {HostDraws, 10, false},
	} {
		if got := on(nil, c.d, c.vocab, 3); got != c.want {
			t.Errorf("%s draws of %d ids: on the device %v, want %v", c.d, c.vocab, got, c.want)
		}
	}
	path := filepath.Join(t.TempDir(), "tuning.json")
	tuner := NewTuner(path, false, nil)
	none := NewTuner("", false, nil)
	if none.Budget = 0; on(none, FasterDraws, largeVocabulary, 1) != !k.shape.CPU || len(none.found) != 0 {
		t.Errorf("without time to measure: %v", none.found)
	}
	tuner.Budget = time.Hour
	first := map[int]bool{}
	for _, seqs := range []int{1, 3, 4} {
		first[seqs] = on(tuner, FasterDraws, 5000, seqs)
	}
	if len(tuner.found) != 2 || first[3] != first[4] || tuner.Spent() == 0 {
		t.Errorf("want 2 measurements, of 1 and 4 sequences, got %v", tuner.found)
	}
	// What the file says counts.
	for key, found := range tuner.found {
		found.Kernel = map[string]string{"host": "device", "device": "host"}[found.Kernel]
		tuner.found[key] = found
	}
	if err := tuner.save(); err != nil {
		t.Fatal(err)
	}
	second := NewTuner(path, false, nil)
	for seqs, was := range first {
		if on(second, FasterDraws, 5000, seqs) == was || second.Spent() != 0 {
			t.Errorf("%d sequences: measured again", seqs)
		}
	}
}

func TestFasterDraws(t *testing.T) {
	for _, c := range []struct {
		device, host time.Duration
		want         Draws
	}{{1000, 2000, DeviceDraws}, {1000, 990, DeviceDraws}, {1000, 900, HostDraws}} {
		if d, took := faster(c.device, c.host); d != c.want || took != map[Draws]time.Duration{DeviceDraws: c.device, HostDraws: c.host}[c.want] {
			t.Errorf("%d against %d: %s, %d", c.device, c.host, d, took)
		}
	}
}

// The trial tells a device that draws slowly from one that does not: its times are those of draws.
func TestTimeDraws(t *testing.T) {
	k := kernels(t)
	small, _ := drawExec(t, k, profile.Buffers, 1, 64)
	large, _ := drawExec(t, k, profile.Buffers, 1, 1<<16)
	d1, h1, err1 := small.timeDraws(1, likelyLogits())
	d2, h2, err2 := large.timeDraws(1, likelyLogits())
	if err1 != nil || err2 != nil || d1 <= 0 || h1 <= 0 || d2 <= d1 || h2 <= 0 {
		t.Errorf("64 ids: %s and %s (%v), 65536 ids: %s and %s (%v)", d1, h1, err1, d2, h2, err2)
	}
}

// A trial whose logits are none leaves draws to the host, keeps nothing, and is no end: a pass tells what is wrong with its own.
func TestDrawsNotLogits(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		e, _ := drawExec(t, kernels(t), profile.Buffers, 4, 100)
		e.tuner = NewTuner("", false, nil)
		e.tuner.Budget = time.Hour
		d, certain, err := e.chooseDraws(2, func() float32 { return float32(bad) })
		if d != HostDraws || !certain || err != nil || len(e.tuner.found) != 0 {
			t.Errorf("%v: want the host's draws, got %s, certain %t, kept %v (%v)", bad, d, certain, e.tuner.found, err)
		}
	}
}
