package draft

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
)

// The expected number of tokens of a round is that of the sum.
func TestExpected(t *testing.T) {
	for _, a := range []float64{0, 0.3, 0.99, 1} {
		sum := 0.0
		for k := range 9 {
			if sum += math.Pow(a, float64(k)); math.Abs(expected(a, k)-sum) > 1e-9 {
				t.Errorf("a %v, k %d: %v, want %v", a, k, expected(a, k), sum)
			}
		}
	}
}

// The number of proposals that is chosen is about the one that gains the most, for drafts of any accuracy and cost. The
// draft is turned off where none gains.
func TestGauge(t *testing.T) {
	for _, x := range []struct {
		right, begin, each float64 // of proposals; a round's time, in tokens, is begin + each * k
	}{
		{0.9, 1, 0.1}, {0.9, 1, 0.3}, {0.6, 1, 0.1}, {0.6, 1.05, 0.3}, {0.3, 1, 0.05}, {0, 1, 0.1}, {0.5, 1.1, 0.6}, {0.95, 1, 1.2}, {1, 1, 0.01},
	} {
		g := newGauge(8)
		seconds := func(tokens float64) time.Duration { return time.Duration(tokens * float64(10*time.Millisecond)) }
		gain := func(k int) float64 { return expected(x.right, k) / (x.begin + x.each*float64(k)) }
		best := 0.0
		for k := 1; k <= 8; k++ {
			best = max(best, gain(k))
		}
		var lines []string
		carry, rounds := 0.0, 0
		for rounds < 400 && !g.off() {
			k := g.proposals()
			if k == 0 {
				g.plain(4, seconds(4))
				continue
			}
			right := 0
			for right < k {
				if carry += x.right; carry < 1-1e-9 {
					break
				}
				carry--
				right++
			}
			took := seconds(x.begin + x.each*float64(k))
			if rounds == 3 || rounds == 60 { // the process was stopped
				took *= 1 + time.Duration(rounds)
			}
			if line := g.round(k, right, k+1, took); line != "" {
				lines = append(lines, line)
			}
			rounds++
		}
		switch {
		case best < 0.95 && (!g.off() || len(lines) != 1 || !strings.Contains(lines[0], "does not pay")):
			t.Errorf("%+v: at best %.2f, want it turned off, got %d rounds and %q", x, best, rounds, lines)
		case best > 1.3 && g.off():
			t.Errorf("%+v: at best %.2f, and turned off after %d rounds: %q", x, best, rounds, lines)
		case best > 1.3:
			if k, _ := g.best(); gain(k) < 0.85*best {
				t.Errorf("%+v: %d proposals gain %.2f, others %.2f", x, k, gain(k), best)
			}
		}
	}
}

// A draft that is of no use is turned off, which is told once; then the model draws alone, but for a trial after each
// rest, which is longer each time. A draft that is right stays. The text is the same. Time is counted in work.
func TestTurnsOff(t *testing.T) {
	p := sample.Params{Temperature: 1, TopP: 0.7, Seed: 3}
	var texts [][]int
	for seed, useful := range map[uint64]bool{1: true, 2: false} {
		main := newEngine(t, stranger(t, 67, 1), &device.Device{}, engine.Options{Slots: 1 + Slots})
		d := newDrafter(t, main, stranger(t, 67, seed), 4)
		var lines []string
		d.options.Notice = func(line string) { lines = append(lines, line) }
		d.gauge.token, d.gauge.tokens = 0, 0
		work := func() time.Duration {
			m, s := main.Stats(), d.small.Stats()
			return time.Duration(20*m.Passes+4*m.Rows+2*s.Rows) * time.Millisecond
		}
		d.gauge.clock = func() func() time.Duration {
			begin := work()
			return func() time.Duration { return work() - begin }
		}
		w := newTeller(t, main, []int{3}, newSampler(t, p, 67))
		w.drafted(t, d, 2000)
		texts = append(texts, w.text)
		s := d.Stats()
		if useful && (len(lines) > 0 || s.Off || s.Plain > 200 || s.Accepted != s.Proposed) {
			t.Errorf("a draft that is always right: %+v, %q", s, lines)
		}
		if !useful && (len(lines) != 1 || s.Plain < 1600 || s.Rounds < 2*roundTrial || s.Rounds > 120) {
			t.Errorf("a draft of no use: %+v, %q", s, lines)
		}
	}
	if !slices.Equal(texts[0], texts[1]) {
		t.Error("the text depends on the draft")
	}
}
