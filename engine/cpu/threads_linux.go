package cpu

import (
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cores returns the physical cores that this process may use: those of its affinity, and no more than the time that its
// control groups leave it.
func cores() int {
	var set unix.CPUSet
	mine := func(int) bool { return true }
	if unix.SchedGetaffinity(0, &set) == nil {
		mine = set.IsSet
	}
	return machine{"/"}.cores(runtime.NumCPU(), mine)
}

// machine is where Linux's files about processors lie.
type machine struct{ root string }

func (m machine) read(name string) string {
	data, err := os.ReadFile(filepath.Join(m.root, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// cores returns the physical cores of the logical processors that are mine, of which there are so many, within the
// quota. Where the system does not say which logical processors share a core, each counts as one.
func (m machine) cores(logical int, mine func(int) bool) int {
	const most = 8192 // logical processors
	found := map[string]bool{}
	for i, seen := 0, 0; i < most && seen < logical; i++ {
		if !mine(i) {
			continue
		}
		seen++
		dir := "sys/devices/system/cpu/cpu" + strconv.Itoa(i) + "/topology/"
		if siblings := m.read(dir + "thread_siblings_list"); siblings != "" {
			found[siblings] = true
		}
	}
	n := len(found)
	if n == 0 {
		n = logical
	}
	return max(min(n, m.quota(n)), 1)
}

// quota returns for how many whole cores the control groups of this process leave time, at most most. A part of a core
// does not count: its worker would be stopped for a part of each period, and the others would wait for it at each step.
func (m machine) quota(most int) int {
	for line := range strings.Lines(m.read("proc/self/cgroup")) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(fields) != 3:
		case fields[1] == "":
			most = m.group(most, "sys/fs/cgroup", fields[2], func(dir string) (quota, period string) {
				quota, period, _ = strings.Cut(m.read(path.Join(dir, "cpu.max")), " ")
				return quota, period
			})
		case strings.Contains(","+fields[1]+",", ",cpu,"):
			most = m.group(most, "sys/fs/cgroup/cpu", fields[2], func(dir string) (quota, period string) {
				return m.read(path.Join(dir, "cpu.cfs_quota_us")), m.read(path.Join(dir, "cpu.cfs_period_us"))
			})
		}
	}
	return most
}

// group returns most, or less if a control group or one around it leaves less.
func (m machine) group(most int, mount, at string, read func(dir string) (quota, period string)) int {
	for at = path.Join("/", at); ; at = path.Dir(at) {
		q, p := read(path.Join(mount, at))
		quota, err := strconv.Atoi(q) // "max" and -1 are none
		period, bad := strconv.Atoi(p)
		if err == nil && bad == nil && quota > 0 && period > 0 {
			most = min(most, quota/period)
		}
		if at == "/" {
			return most
		}
	}
}
