package cpu

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Workers are the physical cores of this process's affinity, within the quotas of its control groups.
func TestCores(t *testing.T) {
	const four = 4 // logical processors of two cores, two threads each: 0 and 2, 1 and 3
	topology := map[string]string{}
	for i := range four {
		topology[fmt.Sprintf("sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", i)] = fmt.Sprintf("%d,%d\n", i%2, i%2+2)
	}
	v2 := map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n", "sys/fs/cgroup/a/cpu.max": "120000 100000\n"}
	all := func(int) bool { return true }
	for _, c := range []struct {
		name    string
		files   []map[string]string
		logical int
		mine    func(int) bool
		want    int
	}{
		{"nothing is told", nil, 6, all, 6},
		{"two threads a core", []map[string]string{topology}, 4, all, 2},
		{"one of each core", []map[string]string{topology}, 2, func(i int) bool { return i < 2 }, 2},
		{"both of one core", []map[string]string{topology}, 2, func(i int) bool { return i%2 == 1 }, 1},
		{"a group around this one, and a part of a core", []map[string]string{v2}, 6, all, 1},
		{"parts of a core", []map[string]string{{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "299000 100000\n"}}, 6, all, 2},
		{"a quota of more than there is", []map[string]string{topology, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "900000 100000\n"}}, 4, all, 2},
		{"less than one core", []map[string]string{{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "5000 100000\n"}}, 4, all, 1},
		{"no quota", []map[string]string{{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}}, 4, all, 4},
		{"the older groups", []map[string]string{{"proc/self/cgroup": "3:cpuset:/\n2:cpu,cpuacct:/x\n", "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "250000\n",
			"sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}}, 8, all, 2},
		{"nonsense", []map[string]string{{"proc/self/cgroup": "0::/\nx\n", "sys/fs/cgroup/cpu.max": "1 0\n"}}, 3, all, 3},
	} {
		root := t.TempDir()
		for _, files := range c.files {
			for name, text := range files {
				path := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got := (machine{root}).cores(c.logical, c.mine); got != c.want {
			t.Errorf("%s: want %d, got %d", c.name, c.want, got)
		}
	}
	if n := Threads(0); n < 1 || n > 8192 {
		t.Errorf("%d threads", n)
	}
}
