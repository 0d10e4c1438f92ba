package doctor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Machine is what a report needs to know of the machine beside Vulkan. Tests have machines of their own.
type Machine struct {
	Root     string                   // of its file system
	Getenv   func(name string) string // reads the environment
	CacheDir string                   // of this program; "" if there is none
}

// ThisMachine returns the machine of this process.
func ThisMachine() Machine {
	m := Machine{Root: "/", Getenv: os.Getenv}
	if dir, err := os.UserCacheDir(); err == nil {
		m.CacheDir = filepath.Join(dir, "rwkv-gpu")
	}
	return m
}

// choosers are the environment variables by which the loader takes some drivers only. The first that is set counts.
var choosers = []string{"VK_DRIVER_FILES", "VK_ICD_FILENAMES"}

// manifests returns the file names of the manifests of installed drivers, and the variable that names them, if one does.
func (m Machine) manifests() (names []string, restricted string) {
	names = []string{}
	for _, name := range choosers {
		if list := m.Getenv(name); list != "" {
			for _, path := range filepath.SplitList(list) {
				names = append(names, manifestsOf(path)...)
			}
			return names, name
		}
	}
	for _, dir := range m.manifestDirs() {
		found, _ := filepath.Glob(filepath.Join(m.Root, dir, "vulkan", "icd.d", "*.json")) // the pattern is well formed
		for _, path := range found {
			names = append(names, filepath.Base(path))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), ""
}

// manifestsOf returns the file names of the manifests that an entry of a chooser names: a manifest, or a folder of some.
func manifestsOf(path string) (names []string) {
	if filepath.Ext(path) == ".json" {
		return []string{filepath.Base(path)}
	}
	entries, _ := os.ReadDir(path) // what cannot be read tells nothing
	for _, f := range entries {
		if filepath.Ext(f.Name()) == ".json" {
			names = append(names, f.Name())
		}
	}
	return names
}

// manifestDirs returns where the loader looks for manifests on Linux and its like.
func (m Machine) manifestDirs() (dirs []string) {
	home := m.Getenv("HOME")
	for _, d := range []struct{ variable, usual string }{
		{"XDG_CONFIG_HOME", filepath.Join(home, ".config")}, {"XDG_CONFIG_DIRS", "/etc/xdg"}, {"", "/etc"},
		{"XDG_DATA_HOME", filepath.Join(home, ".local/share")}, {"XDG_DATA_DIRS", "/usr/local/share:/usr/share"},
	} {
		list := d.usual
		if set := m.Getenv(d.variable); d.variable != "" && set != "" {
			list = set
		}
		dirs = append(dirs, filepath.SplitList(list)...)
	}
	return dirs
}

// makers are the makers of display adapters, by the PCI number of the vendor.
var makers = map[string]string{"0x1002": "AMD", "0x10de": "NVIDIA", "0x8086": "Intel"}

// adapters returns the makers of the machine's display adapters and of those that compute only, as far as Linux tells.
func (m Machine) adapters() (list []string) {
	devices, _ := filepath.Glob(filepath.Join(m.Root, "sys/bus/pci/devices/*")) // the pattern is well formed
	for _, dir := range devices {
		read := func(name string) string {
			data, _ := os.ReadFile(filepath.Join(dir, name)) // what cannot be read tells nothing
			return strings.TrimSpace(string(data))
		}
		maker := makers[read("vendor")]
		class := read("class")
		display := strings.HasPrefix(class, "0x03") || strings.HasPrefix(class, "0x12")
		if maker != "" && display && !slices.Contains(list, maker) {
			list = append(list, maker)
		}
	}
	return list
}

// pipelineBytes returns the size of the compiled kernels that are kept.
func (m Machine) pipelineBytes() (bytes int64) {
	if m.CacheDir == "" {
		return 0
	}
	found, _ := filepath.Glob(filepath.Join(m.CacheDir, "pipeline-*.bin")) // the pattern is well formed
	for _, path := range found {
		if info, err := os.Stat(path); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}
