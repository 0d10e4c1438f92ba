package memory

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

// What is free is the least that the machine, the process's limits and its control groups leave.
func TestFree(t *testing.T) {
	const (
		mib     = 1 << 20
		meminfo = "MemTotal:       16777216 kB\nMemFree:         1048576 kB\nMemAvailable:    8388608 kB\nSwapTotal: 2097152 kB\nSwapFree:        1048576 kB\n"
		status  = "Name:\tx\nVmPeak:\t 3072000 kB\nVmSize:\t 1048576 kB\nVmData:\t  524288 kB\n"
	)
	type files map[string]string
	for _, c := range []struct {
		name        string
		files       files
		data, space uint64 // limits in MiB; 0: none
		want        int    // MiB; -1: unknown
	}{
		{"nothing is told", files{}, 0, 0, -1},
		{"an old system", files{"proc/meminfo": "MemFree: 1 kB\n"}, 0, 0, -1},
		{"the machine", files{"proc/meminfo": meminfo, "proc/self/status": status}, 0, 0, 9216},
		{"the machine without more to read", files{"proc/meminfo": meminfo}, 100, 100, 9216},
		{"addresses", files{"proc/meminfo": meminfo, "proc/self/status": status}, 0, 3000, 3000 - 1024},
		{"data", files{"proc/meminfo": meminfo, "proc/self/status": status}, 2000, 3000, 2000 - 512},
		{"less than is taken", files{"proc/meminfo": meminfo, "proc/self/status": status}, 0, 1000, 0},
		{"a group", files{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "2147483648\n",
			"sys/fs/cgroup/a/b/memory.current": "1073741824\n", "sys/fs/cgroup/a/b/memory.stat": "anon 1\ninactive_file 104857600\nactive_file 209715200\n",
			"sys/fs/cgroup/a/b/memory.swap.max": "0\n"}, 0, 0, 1024 + 300},
		{"a group with swap", files{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "2147483648\n",
			"sys/fs/cgroup/a/b/memory.current": "1073741824\n", "sys/fs/cgroup/a/b/memory.swap.max": "max\n"}, 0, 0, 2048},
		{"a group around the group", files{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "max\n",
			"sys/fs/cgroup/a/b/memory.current": "1\n", "sys/fs/cgroup/a/memory.max": "1073741824\n", "sys/fs/cgroup/a/memory.current": "536870912\n",
			"sys/fs/cgroup/a/memory.swap.max": "0"}, 0, 0, 512},
		{"a container's own", files{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1073741824\n",
			"sys/fs/cgroup/memory.current": "0\n", "sys/fs/cgroup/memory.swap.max": "0"}, 0, 0, 1024},
		{"no limit", files{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory.current": "5\n"}, 0, 0, 9216},
		{"groups of version 1", files{"proc/meminfo": meminfo, "proc/self/cgroup": "4:cpu,memory:/x\n3:cpuset:/\n", "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "2147483648\n",
			"sys/fs/cgroup/memory/x/memory.usage_in_bytes": "2147483648\n", "sys/fs/cgroup/memory/x/memory.stat": "total_inactive_file 104857600\n"}, 0, 0, 100 + 1024},
		{"no limit in version 1", files{"proc/meminfo": meminfo, "proc/self/cgroup": "4:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
			"sys/fs/cgroup/memory/memory.usage_in_bytes": "2147483648\n"}, 0, 0, 9216},
		{"nonsense", files{"proc/meminfo": meminfo, "proc/self/cgroup": "x\n\n0::../../..\n", "proc/self/status": "VmSize: many kB\n"}, 5, 5, 9216},
	} {
		root := t.TempDir()
		for name, text := range c.files {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		limits := map[int]uint64{1: c.data, 2: c.space}
		bytes, known := system{root, func(resource int) uint64 {
			if limits[resource] == 0 {
				return math.MaxUint64
			}
			return limits[resource] * mib
		}, 1, 2}.free()
		if known != (c.want >= 0) || known && bytes != c.want*mib {
			t.Errorf("%s: want %d MiB, got %d (%t)", c.name, c.want, bytes/mib, known)
		}
	}
	if bytes, known := Free(); !known || bytes < mib {
		t.Errorf("this machine: %d (%t)", bytes, known)
	}
}
