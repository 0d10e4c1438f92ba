package bench

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// cpuTime is the processor time spent until some moment, from Linux's /proc. On other systems it is not known.
type cpuTime struct {
	at    time.Time
	all   float64 // seconds of all processes on all cores
	own   float64 // of this process
	known bool
}

// ticks is the unit of /proc/stat, USER_HZ, which is the same on all architectures that Go runs on.
const ticks = 100

func readCPUTime() cpuTime {
	t := cpuTime{at: time.Now()}
	system, err1 := os.ReadFile("/proc/stat")
	process, err2 := os.ReadFile("/proc/self/stat")
	if err1 != nil || err2 != nil {
		return t
	}
	var ok1, ok2 bool
	t.all, ok1 = busyTime(system)
	t.own, ok2 = processTime(process)
	t.known = ok1 && ok2
	return t
}

// busyTime returns the seconds in which all cores were neither idle nor waiting, from the first line of /proc/stat:
// user, nice, system, idle, iowait, irq, softirq, steal, and guests. user and nice include the time of guests.
func busyTime(stat []byte) (float64, bool) {
	line, _, _ := bytes.Cut(stat, []byte("\n"))
	fields := strings.Fields(string(line))
	if len(fields) < 8 || fields[0] != "cpu" {
		return 0, false
	}
	var sum float64
	for i, f := range fields[1:min(len(fields), 9)] {
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return 0, false
		}
		if i != 3 && i != 4 {
			sum += n
		}
	}
	return sum / ticks, true
}

// processTime returns the seconds of user and system time from /proc/self/stat. Its second field, in parentheses, may
// have any content.
func processTime(stat []byte) (float64, bool) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, false
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 13 {
		return 0, false
	}
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	return (user + system) / ticks, err1 == nil && err2 == nil
}

// otherCPU adds up the processor time of other processes while this one measured.
type otherCPU struct {
	used, seconds float64
	known         bool
}

// add counts the time since before.
func (o *otherCPU) add(before cpuTime) {
	now := readCPUTime()
	if !now.known || !before.known {
		return
	}
	o.used += max(now.all-before.all-(now.own-before.own), 0)
	o.seconds += now.at.Sub(before.at).Seconds()
	o.known = true
}

// cores returns how many cores other processes kept busy. It is nil if that is not known, or if the time was too short
// to count in ticks.
func (o *otherCPU) cores() *float64 {
	if !o.known || o.seconds < 10./ticks {
		return nil
	}
	n := o.used / o.seconds
	return &n
}

// busyShare is the share of the cores that others may use without a warning. lagShare is that of the load average,
// which includes what has just ended.
const (
	busyShare = 0.05
	lagShare  = 0.5
)

// loadAverage returns the load of the last minute, nil where it is not known.
func loadAverage() *float64 {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return nil
	}
	first, _, _ := strings.Cut(string(data), " ")
	n, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return nil
	}
	return &n
}

// note keeps the largest use of cores by others.
func (l *Load) note(cores *float64) {
	if cores != nil && (l.OtherCPU == nil || *l.OtherCPU < *cores) {
		l.OtherCPU = cores
	}
	switch {
	case l.OtherCPU != nil:
		l.Busy = *l.OtherCPU > busyShare*float64(l.Cores)
	case l.Average != nil:
		l.Busy = *l.Average > lagShare*float64(l.Cores)
	}
}

// Warning returns a warning of a load that distorts the figures; "" if there was none.
func (l *Load) Warning() string {
	if !l.Busy {
		return ""
	}
	var found []string
	if l.OtherCPU != nil {
		found = append(found, fmt.Sprintf("other processes kept %.2f of %d cores busy during a test", *l.OtherCPU, l.Cores))
	}
	if l.Average != nil {
		found = append(found, fmt.Sprintf("the load average before was %.2f", *l.Average))
	}
	return "warning: " + strings.Join(found, ", ") + ": the figures are lower than the machine's"
}

// processMemory returns the bytes of this process's resident memory and its peak, 0 where that is not known.
func processMemory() (now, peak int) {
	if runtime.GOOS != "linux" {
		return 0, 0
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		switch {
		case err != nil:
		case name == "VmRSS":
			now = kib << 10
		case name == "VmHWM":
			peak = kib << 10
		}
	}
	return now, peak
}
