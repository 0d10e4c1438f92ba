package main

import (
	"strings"
	"testing"
)

// --precision takes two values, and f16 not together with --exact. A device without cooperative matrices gives the same
// numbers with either.
func TestPrecision(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--precision", "f8"}, `--precision: want f32 or f16, got "f8"`},
		{[]string{"--precision", ""}, `--precision: want f32 or f16, got ""`},
		{[]string{"--precision", "f16", "--exact"}, "--precision: want f32 with --exact, got f16"},
	} {
		if r := cli(append([]string{"logits", "--tokens", "1"}, c.args...)...); r.status != statusUsage || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%q: want status %d and %q, got %d and %q", c.args, statusUsage, c.want, r.status, r.stderr)
		}
	}
	logits := func(args ...string) (out logitsAnswer) {
		cliJSON(t, &out, append([]string{"logits", "--tokens", strings.Repeat("3,1,4,", 7) + "1", "--device", "cpu"}, args...)...)
		return out
	}
	want, got := logits(), logits("--precision", "f16")
	if len(got.Logits) != 1 || len(got.Logits[0]) != len(want.Logits[0]) {
		t.Fatalf("want %d logits, got %d rows", len(want.Logits[0]), len(got.Logits))
	}
	for i, w := range want.Logits[0] {
		if got.Logits[0][i] != w {
			t.Fatalf("logit %d: want %g, got %g", i, w, got.Logits[0][i])
		}
	}
}
