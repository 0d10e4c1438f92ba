package memory

import (
	"math"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Free returns how many more bytes of memory this process may take: what the machine has available, swap included,
// within the limits of the process and of its control groups.
func Free() (bytes int, known bool) {
	const limitData, limitAddresses = 2, 9 // RLIMIT_DATA, RLIMIT_AS
	return system{"/", func(resource int) uint64 {
		var l syscall.Rlimit
		if syscall.Getrlimit(resource, &l) != nil {
			return math.MaxUint64
		}
		return l.Cur
	}, limitData, limitAddresses}.free()
}

// system is where Linux's files about memory lie.
type system struct {
	root                  string
	limit                 func(resource int) uint64
	dataLimit, spaceLimit int
}

func (s system) read(name string) string {
	data, err := os.ReadFile(filepath.Join(s.root, name))
	if err != nil {
		return ""
	}
	return string(data)
}

// kib returns a value of lines "KEY:  N kB".
func kib(text, key string) (bytes uint64, ok bool) {
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, key+":"); found {
			n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 54)
			return n << 10, err == nil
		}
	}
	return 0, false
}

// number returns a file's only number. It returns none for a file that says "max" or does not exist.
func (s system) number(name string) (uint64, bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(s.read(name)), 10, 64)
	return n, err == nil
}

func (s system) free() (bytes int, known bool) {
	meminfo := s.read("proc/meminfo")
	available, ok := kib(meminfo, "MemAvailable")
	if !ok {
		return 0, false
	}
	swap, _ := kib(meminfo, "SwapFree")
	least := available + swap
	status := s.read("proc/self/status")
	for resource, key := range map[int]string{s.spaceLimit: "VmSize", s.dataLimit: "VmData"} {
		if used, ok := kib(status, key); ok {
			least = min(least, less(s.limit(resource), used))
		}
	}
	for line := range strings.Lines(s.read("proc/self/cgroup")) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(fields) != 3:
		case fields[1] == "":
			least = s.group(least, "sys/fs/cgroup", fields[2], swap, groupFiles{"memory.max", "memory.current", "memory.swap.max", "memory.swap.current", ""})
		case strings.Contains(","+fields[1]+",", ",memory,"):
			least = s.group(least, "sys/fs/cgroup/memory", fields[2], swap, groupFiles{"memory.limit_in_bytes", "memory.usage_in_bytes", "", "", "total_"})
		}
	}
	return int(min(least, math.MaxInt)), true
}

// groupFiles are the names of a control group's files in one version of control groups, and the prefix of the names in
// its memory.stat.
type groupFiles struct{ most, used, mostSwap, usedSwap, prefix string }

// group returns least, or less if a control group or one around it leaves less. Cached files count as free, since the
// system takes their memory back.
func (s system) group(least uint64, mount, at string, swap uint64, f groupFiles) uint64 {
	for at = path.Join("/", at); ; at = path.Dir(at) {
		dir := path.Join(mount, at)
		most, limited := s.number(path.Join(dir, f.most))
		used, ok := s.number(path.Join(dir, f.used))
		if limited && ok {
			cached := uint64(0)
			for line := range strings.Lines(s.read(path.Join(dir, "memory.stat"))) {
				key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
				if key == f.prefix+"inactive_file" || key == f.prefix+"active_file" {
					n, _ := strconv.ParseUint(value, 10, 62) // 0 where it is none
					cached += n
				}
			}
			mostSwap, limited := s.number(path.Join(dir, f.mostSwap))
			usedSwap, _ := s.number(path.Join(dir, f.usedSwap))
			more := swap
			if limited {
				more = min(swap, less(mostSwap, usedSwap))
			}
			least = min(least, less(most, less(used, cached))+more)
		}
		if at == "/" {
			return least
		}
	}
}

// less returns a - b, but no less than 0.
func less(a, b uint64) uint64 { return a - min(a, b) }
