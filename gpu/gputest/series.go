package gputest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
)

// Faults returns how many faults a test tries: usual, a third of that in a short run, or what RWKV_FAULTS says.
func Faults(t *testing.T, usual int) int {
	t.Helper()
	text := os.Getenv("RWKV_FAULTS")
	switch {
	case text == "" && testing.Short():
		return max(usual/3, 1)
	case text == "":
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("RWKV_FAULTS: want a number above 0, got %q", text)
	}
	return n
}

// FaultySeries is Faulty for more faults than one process has the time for. In a process of its own it returns the
// control and each, which calls try for the faults from 0 on, in their order, until try says that there are no more, or
// until it is the next process's turn, which goes on with the next fault. Here it returns nil and nil when all are
// tried.
func FaultySeries(t *testing.T, env ...string) (ctl *faultvk.Control, each func(try func(i int) (more bool))) {
	t.Helper()
	if IsFaulty() {
		from, err := strconv.Atoi(os.Getenv(seriesEnv))
		if err != nil {
			t.Fatalf("%s: %v", seriesEnv, err)
		}
		return Faulty(t), func(try func(int) bool) {
			fmt.Printf("%s%d\n", seriesNext, series(from, time.Now().Add(seriesTime), try))
		}
	}
	for from := 0; from >= 0; {
		out, err := FaultyProcess(t, faultvk.New(t), append(env, fmt.Sprintf("%s=%d", seriesEnv, from))...).CombinedOutput()
		_, rest, _ := strings.Cut(string(out), seriesNext)
		line, _, _ := strings.Cut(rest, "\n")
		next, bad := strconv.Atoi(line)
		if err != nil || bad != nil {
			t.Errorf("from fault %d on: %v\n%s", from, err, out)
			break
		}
		t.Logf("from fault %d on:\n%s", from, out)
		from = next
	}
	return nil, nil
}

const (
	seriesEnv  = "RWKV_TEST_FAULTS_FROM"
	seriesNext = "the next fault is "
	seriesTime = 30 * time.Second // after which a process begins no further fault
)

// series tries faults until a time, at least one of them, and returns the next one; -1 if there are no more.
func series(from int, until time.Time, try func(i int) (more bool)) (next int) {
	for i := from; ; i++ {
		if !try(i) {
			return -1
		}
		if time.Now().After(until) {
			return i + 1
		}
	}
}
