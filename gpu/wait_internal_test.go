package gpu

import (
	"strings"
	"testing"
	"time"
)

// A wait may take many times what the same took before, and longer where a kernel may have to be compiled; never less
// than the least, and never for ever.
func TestWaitLimit(t *testing.T) {
	d := &Device{health: health{least: leastWait}}
	for _, expected := range []time.Duration{0, time.Microsecond, time.Second, time.Hour, 1 << 62} {
		for _, kernels := range []int{0, 1, 40} {
			l := d.limit(expected, kernels)
			if l < leastWait || l > waitLimit || l < min(10*min(expected, waitLimit), waitLimit) {
				t.Errorf("%s and %d kernels: %s", expected, kernels, l)
			}
			if more := d.limit(expected, kernels+1); more < l || more == l && l < waitLimit {
				t.Errorf("%s: %s for %d kernels, %s for one more", expected, l, kernels, more)
			}
		}
	}
}

func TestWaitLimitEnv(t *testing.T) {
	for text, want := range map[string]time.Duration{"": leastWait, "0.1": 100 * time.Millisecond, "0.5": 500 * time.Millisecond, "86400": waitLimit} {
		t.Setenv(waitLimitEnv, text)
		if got, err := leastWaitOf(DeviceOptions{}); err != nil || got != want {
			t.Errorf("%q: %s (%v), want %s", text, got, err, want)
		}
	}
	if got, err := leastWaitOf(DeviceOptions{WaitLimit: time.Minute}); err != nil || got != time.Minute {
		t.Errorf("%s (%v), want what the options say", got, err)
	}
	for _, limit := range []time.Duration{-time.Second, 1, 99 * time.Millisecond, waitLimit + 1} {
		if got, err := leastWaitOf(DeviceOptions{WaitLimit: limit}); err == nil || !strings.Contains(err.Error(), "WaitLimit: want 100ms to 24h0m0s") {
			t.Errorf("%s: %s (%v), want an error", limit, got, err)
		}
	}
	for _, text := range []string{"x", "0", "0.003", "0.0999", "-1", "NaN", "Inf", "86401", "30s"} {
		t.Setenv(waitLimitEnv, text)
		if got, err := leastWaitOf(DeviceOptions{}); err == nil || !strings.Contains(err.Error(), waitLimitEnv) {
			t.Errorf("%q: %s (%v), want an error", text, got, err)
		}
	}
}
