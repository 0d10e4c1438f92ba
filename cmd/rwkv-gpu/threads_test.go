package main

import (
	"strings"
	"testing"
)

// --threads sets how many threads work on the CPU, for any command that runs a model. The numbers do not depend on it.
func TestThreads(t *testing.T) {
	var texts []string
	for _, threads := range []string{"1", "3"} {
		r := cli("generate", "Once", "-n", "4", "--temperature", "0", "--device", "cpu", "--threads", threads)
		if r.status != statusDone || !strings.Contains(r.stderr, "running on CPU ("+threads+" thread") {
			t.Error(r)
		}
		texts = append(texts, r.stdout)
	}
	if texts[0] == "" || texts[0] != texts[1] {
		t.Errorf("by one thread %q, by three %q", texts[0], texts[1])
	}
	for _, bad := range []string{"-1", "1025", "x"} {
		wantError(t, cli("generate", "x", "--threads", bad), statusUsage, "threads")
	}
}
