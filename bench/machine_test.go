package bench

import (
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestBusyTime(t *testing.T) {
	// user nice system idle iowait irq softirq steal guest guest_nice, as proc(5) has them.
	got, ok := busyTime([]byte("cpu  1000 200 300 99999 5000 10 20 30 40 50\ncpu0 1 2 3\n"))
	if !ok || !near(got, 15.6) {
		t.Error(got, ok)
	}
	for _, bad := range []string{"", "cpu 1 2", "intr 1 2 3 4 5 6 7 8", "cpu a b c d e f g h"} {
		if _, ok := busyTime([]byte(bad)); ok {
			t.Errorf("%q: taken", bad)
		}
	}
	got, ok = processTime([]byte("42 (a) b) c) R 1 2 3 4 5 6 7 8 9 10 250 50 0 0"))
	if !ok || !near(got, 3) {
		t.Error(got, ok)
	}
	for _, bad := range []string{"", "42 (x", "42 (x) R 1 2 3", "42 (x) R 1 2 3 4 5 6 7 8 9 10 x 50"} {
		if _, ok := processTime([]byte(bad)); ok {
			t.Errorf("%q: taken", bad)
		}
	}
}

// Another process's time is noticed, one's own is not.
func TestOtherCPU(t *testing.T) {
	base := cpuTime{at: time.Now().Add(-10 * time.Second), known: true}
	now := readCPUTime()
	if !now.known {
		t.Skip("no /proc")
	}
	base.all, base.own = now.all-15, now.own-5
	var o otherCPU
	o.add(base)
	cores := o.cores()
	if cores == nil || *cores < 0.98 || *cores > 1.2 {
		t.Errorf("want about 1 core, got %v", optional(cores))
	}
	l := Load{Cores: 2}
	if l.note(cores); !l.Busy || !strings.Contains(l.Warning(), "of 2 cores busy") {
		t.Errorf("%+v: %q", l, l.Warning())
	}
	little := 0.01
	l = Load{Cores: 2}
	if l.note(&little); l.Busy || l.Warning() != "" {
		t.Errorf("%+v: %q", l, l.Warning())
	}
	average := 1.5
	l = Load{Cores: 2, Average: &average}
	if l.note(nil); !l.Busy || !strings.Contains(l.Warning(), "1.50") {
		t.Errorf("%+v: %q", l, l.Warning())
	}
	if unknown := new(otherCPU); unknown.cores() != nil {
		t.Error("cores of nothing")
	}
}

func TestProcessMemory(t *testing.T) {
	now, peak := processMemory()
	if runtime.GOOS != "linux" {
		t.Skip("no /proc")
	}
	if now < 1<<20 || peak < now || now%os.Getpagesize() != 0 {
		t.Errorf("%d bytes, at most %d", now, peak)
	}
}
