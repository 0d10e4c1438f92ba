package vulkan

import (
	"math"
	"math/bits"
	"path/filepath"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/draw"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
)

// Where tokens are drawn is what the measurement says, which is made once and kept; where nothing may be measured, a
// processor draws from large vocabularies on the host.
func TestDrawsOnDevice(t *testing.T) {
	k := kernels(t)
	on := func(tuner *tune.Tuner, d Draws, vocab, seqs int) bool {
		t.Helper()
		e, _ := drawExec(t, k, profile.Buffers, 4, vocab)
		e.tuner, e.decode.place = tuner, d
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
		{FasterDraws, draw.LargeVocabulary - 1, true}, {FasterDraws, draw.LargeVocabulary, !k.set.Is.CPU},
		{DeviceDraws, draw.LargeVocabulary, true}, {HostDraws, 10, false},
	} {
		if got := on(nil, c.d, c.vocab, 3); got != c.want {
			t.Errorf("%s draws of %d ids: on the device %v, want %v", c.d, c.vocab, got, c.want)
		}
	}
	path := filepath.Join(t.TempDir(), "tuning.json")
	tuner := tune.New(path, false, nil)
	none := tune.New("", false, nil)
	if none.Budget = 0; on(none, FasterDraws, draw.LargeVocabulary, 1) != !k.set.Is.CPU || len(none.Known()) != 0 {
		t.Errorf("without time to measure: %v", none.Known())
	}
	tuner.Budget = time.Hour
	first := map[int]bool{}
	for _, seqs := range []int{1, 3, 4} {
		first[seqs] = on(tuner, FasterDraws, 5000, seqs)
	}
	if len(tuner.Known()) != 2 || first[3] != first[4] || tuner.Spent() == 0 {
		t.Errorf("want 2 measurements, of 1 and 4 sequences, got %v", tuner.Known())
	}
	// What the file says counts.
	e, _ := drawExec(t, k, profile.Buffers, 4, 5000)
	for seqs, was := range first {
		place := draw.OnDevice
		if was {
			place = draw.OnHost
		}
		tuner.Keep(draw.Choice(e.env, min(1<<bits.Len(uint(seqs-1)), 4)), place, time.Millisecond)
	}
	second := tune.New(path, false, nil)
	for seqs, was := range first {
		if on(second, FasterDraws, 5000, seqs) == was || second.Spent() != 0 {
			t.Errorf("%d sequences: measured again", seqs)
		}
	}
}

// The trial tells a device that draws slowly from one that does not: its times are those of draws.
func TestTimeDraws(t *testing.T) {
	k := kernels(t)
	small, _ := drawExec(t, k, profile.Buffers, 1, 64)
	large, _ := drawExec(t, k, profile.Buffers, 1, 1<<16)
	// The least of some trials is that of the draws, on a busy machine too.
	least := func(e *Prober, place tune.Form) time.Duration {
		t.Helper()
		trial := draw.NewTrial(e.env, e.pace.expected, 1, draw.LikelyLogits())
		defer trial.Release()
		if err := trial.Prepare(); err != nil {
			t.Fatal(err)
		}
		best := time.Hour
		for range 10 {
			took, err := trial.Time(place, 0)
			if err != nil {
				t.Fatal(err)
			}
			best = min(best, took)
		}
		return best
	}
	d1, h1, d2, h2 := least(small, draw.OnDevice), least(small, draw.OnHost), least(large, draw.OnDevice), least(large, draw.OnHost)
	t.Logf("64 ids: %s and %s, 65536 ids: %s and %s", d1, h1, d2, h2)
	if d1 <= 0 || h1 <= 0 || d2 <= d1 || h2 <= 0 {
		t.Errorf("64 ids: %s and %s, 65536 ids: %s and %s", d1, h1, d2, h2)
	}
}

// Both places draw the same ids, which the trial finds alike, and others than the same ids it does not.
func TestDrawTrialAlike(t *testing.T) {
	e, _ := drawExec(t, kernels(t), profile.Buffers, 4, 5000)
	trial := draw.NewTrial(e.env, e.pace.expected, 4, draw.LikelyLogits())
	defer trial.Release()
	if err := trial.Prepare(); err != nil {
		t.Fatal(err)
	}
	device, err1 := trial.Results(draw.OnDevice)
	host, err2 := trial.Results(draw.OnHost)
	if err1 != nil || err2 != nil || len(device) != 8 || !tune.Alike(device, host, trial.Before()) {
		t.Errorf("want the same ids, got %v (%v) and %v (%v)", device, err1, host, err2)
	}
	if host[7]++; tune.Alike(device, host, trial.Before()) {
		t.Error("want another id to make a difference")
	}
}

// A trial whose logits are none leaves draws to the host, keeps nothing, and is no end: a pass tells what is wrong with
// its own.
func TestDrawsNotLogits(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		e, _ := drawExec(t, kernels(t), profile.Buffers, 4, 100)
		e.tuner = tune.New("", false, nil)
		e.tuner.Budget = time.Hour
		d, certain, err := e.chooseDraws(2, func() float32 { return float32(bad) })
		if d != HostDraws || !certain || err != nil || len(e.tuner.Known()) != 0 {
			t.Errorf("%v: want the host's draws, got %s, certain %t, kept %v (%v)", bad, d, certain, e.tuner.Known(), err)
		}
	}
}
