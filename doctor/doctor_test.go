package doctor

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// Folders go, whatever stands around them; names, URLs and strokes between words stay.
func TestScrub(t *testing.T) {
	for text, want := range map[string]string{
		"tried /home/anna/lib/libvulkan.so.1 (from X)":        "tried libvulkan.so.1 (from X)",
		`open C:\Users\anna\m.gguf: no`:                       "open m.gguf: no",
		`"/home/anna/m.st": short`:                            `"m.st": short`,
		"cache=/var/cache/rwkv-gpu/unfit.json, full":          "cache=unfit.json, full",
		"~/models/m.st and ../m.st and ./m.st":                "m.st and m.st and m.st",
		"see https://github.com/a/b/issues/1":                 "see https://github.com/a/b/issues/1",
		"4.0 GB/s on linux/amd64, MatMul/F16/7x13/rows1: off": "4.0 GB/s on linux/amd64, MatMul/F16/7x13/rows1: off",
		"read / write": "read / write",
		`open C:\Users\Anna Smith\models\m.gguf: no`: "open m.gguf: no",
		"in /home/anna, and /home/bea":               "in ~, and ~",
		"see https://example.com/home/anna":          "see https://example.com/home/anna",
	} {
		if got := scrub(text); got != want {
			t.Errorf("%q: want %q, got %q", text, want, got)
		}
	}
	t.Setenv("HOME", "/people/Anna Smith")
	t.Setenv("XDG_CACHE_HOME", "/cold store/of anna")
	for text, want := range map[string]string{
		"open /people/Anna Smith/m.st: no":              "open m.st: no",
		"/people/Anna Smith is full":                    "~ is full",
		"X=/people/Anna Smith:/people/Anna Smith/a.so":  "X=~:~/a.so",
		"write /cold store/of anna/rwkv-gpu/unfit.json": "write unfit.json",
		"open my models/m.st: no; my models":            "open m.st: no; my models",
		"https://a.org/people/Anna Smith":               "https://a.org/people/Anna Smith",
	} {
		if got := scrub(text, folders("my models/m.st")...); got != want {
			t.Errorf("%q: want %q, got %q", text, want, got)
		}
	}
	for given, want := range map[string]string{"": "the embedded demo model", "/home/anna/m.st": "m.st", "dir/model/": "model", "synthetic:0.1b": "synthetic:0.1b"} {
		if got := modelName(given); got != want {
			t.Errorf("%q: want %q, got %q", given, want, got)
		}
	}
}

// Each known trouble is complete, is found on a device that has it, and not on one of another driver or version.
func TestTroubles(t *testing.T) {
	list, err := troubles()
	if err != nil || len(list) < 10 {
		t.Fatalf("%d troubles, %v", len(list), err)
	}
	seen := map[string]bool{}
	for _, x := range list {
		u, err := url.Parse(x.Source)
		if err != nil || u.Scheme != "https" || u.Host == "" || x.ID == "" || seen[x.ID] || x.DriverID == 0 || x.Trouble == "" || x.Do == "" ||
			x.Level != Note && x.Level != Warn && x.Level != Fail || x.From != "" && x.Before != "" && compareVersions(x.From, x.Before) >= 0 {
			t.Errorf("%+v", x)
		}
		seen[x.ID] = true
		in := gpu.Info{Name: "a " + x.Device + " GPU", Type: x.Type, DriverID: x.DriverID, Driver: "driver 1"}
		if x.From != "" || x.Before != "" {
			if x.concerns(in) {
				t.Errorf("%s concerns a driver without a version", x.ID)
			}
			in.Driver = "driver " + x.From + ".0"
			if x.From == "" {
				in.Driver = "driver 0.1"
			}
		}
		if !x.concerns(in) {
			t.Errorf("%s does not concern %+v", x.ID, in)
		}
		if x.Before != "" {
			if in.Driver = "driver " + x.Before; x.concerns(in) {
				t.Errorf("%s concerns %s", x.ID, in.Driver)
			}
		}
		if in.DriverID++; x.concerns(in) {
			t.Errorf("%s concerns another driver", x.ID)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"1.2", "1.10", -1}, {"1.2.0", "1.2", 0}, {"25.0.7", "25.0.7", 0}, {"2", "1.9.9", 1}, {"99999999999999999999.1", "1.1", 1}} {
		if got := compareVersions(c.a, c.b); got < 0 != (c.want < 0) || got > 0 != (c.want > 0) {
			t.Errorf("%s beside %s: %d", c.a, c.b, got)
		}
	}
	r := &Report{}
	if err := r.findTroubles(gpu.Info{Name: "AMD Radeon RX 6800 XT (RADV NAVI21)", DriverID: 3, Driver: "radv Mesa 25.0.7"}); err != nil || len(r.Findings) != 1 || r.Findings[0].Level != Warn {
		t.Errorf("%+v, %v", r.Findings, err)
	}
}

// The gravest finding is the verdict and comes first; strict fails for a warning, and notes are no reason.
func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		found          []Level
		want           Level
		failed, strict bool
	}{
		{nil, OK, false, false}, {[]Level{Note}, OK, false, false}, {[]Level{Note, Warn}, Warn, false, true}, {[]Level{Warn, Fail, Note}, Fail, true, true},
	} {
		r := &Report{}
		for _, l := range c.found {
			r.find(l, "text", "")
		}
		if r.judge(); r.Verdict != c.want || r.Failed(false) != c.failed || r.Failed(true) != c.strict || c.want != OK && r.Findings[0].Level != c.want {
			t.Errorf("%v: %s, %t, %t", c.found, r.Verdict, r.Failed(false), r.Failed(true))
		}
	}
}

// A device without a feature or below a limit is told what follows.
func TestFeaturesAndLimits(t *testing.T) {
	var poor gpu.Info
	rich := gpu.Info{Features: gpu.Features{CoopMatrix: true, FullSubgroups: true, SubgroupControl: true, UniformFlow: true, MemoryBudget: true, Timestamps: true},
		Subgroup: gpu.Subgroup{Ops: []string{"shuffle", "ballot"}},
		Limits:   gpu.Limits{MaxWorkgroupInvocations: 1024, MaxStorageBuffers: 64, SharedMemory: 1 << 16, PushConstants: 256, MaxStorageBufferRange: 1 << 30}}
	for i, f := range features(poor) {
		if g := features(rich)[i]; f.Has || !g.Has || f.Consequence == "" || g.Consequence == "" || f.Consequence == g.Consequence || f.Name != g.Name {
			t.Errorf("%+v, %+v", f, g)
		}
	}
	for i, l := range limits(poor, 1<<20) {
		if k := limits(rich, 1<<20)[i]; l.OK || l.Consequence == "" || !k.OK || k.Consequence != "" {
			t.Errorf("%+v, %+v", l, k)
		}
	}
	r := &Report{Limits: Limits{Device: limits(poor, 1<<20)}}
	r.findLimits()
	if r.judge(); r.Verdict != Fail || !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Level == Warn }) {
		t.Errorf("%+v", r.Findings)
	}
}

// What the machine has is found: manifests where the loader looks, the variable that chooses among them, and adapters.
func TestMachine(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{"HOME": "/home/anna"}
	m := Machine{Root: root, Getenv: func(name string) string { return env[name] }, CacheDir: filepath.Join(root, "cache")}
	if names, by := m.manifests(); names == nil || len(names) != 0 || by != "" || m.adapters() != nil || m.pipelineBytes() != 0 {
		t.Errorf("nothing: %q, %q", names, by)
	}
	write("usr/share/vulkan/icd.d/lvp_icd.json", "{}")
	write("etc/vulkan/icd.d/nvidia_icd.json", "{}")
	write("home/anna/.local/share/vulkan/icd.d/own.json", "{}")
	write("usr/share/vulkan/icd.d/readme.txt", "")
	for i, pci := range [][2]string{{"0x030000", "0x10de"}, {"0x030200", "0x10de"}, {"0x020000", "0x8086"}, {"0x120000", "0x1002"}, {"0x030000", "0x1234"}} {
		dir := filepath.Join("sys/bus/pci/devices", string(rune('a'+i)))
		write(filepath.Join(dir, "class"), pci[0]+"\n")
		write(filepath.Join(dir, "vendor"), pci[1]+"\n")
	}
	write("cache/pipeline-1.bin", "12345")
	if names, by := m.manifests(); !slices.Equal(names, []string{"lvp_icd.json", "nvidia_icd.json", "own.json"}) || by != "" {
		t.Errorf("%q, %q", names, by)
	}
	if got := m.adapters(); !slices.Equal(got, []string{"NVIDIA", "AMD"}) {
		t.Errorf("adapters: %q", got)
	}
	if n := m.pipelineBytes(); n != 5 {
		t.Errorf("%d bytes", n)
	}
	env["XDG_DATA_DIRS"] = "/nowhere"
	if names, _ := m.manifests(); slices.Contains(names, "lvp_icd.json") {
		t.Errorf("%q", names)
	}
	env["VK_ICD_FILENAMES"] = "/home/anna/x.json" + string(os.PathListSeparator) + "y.json"
	if names, by := m.manifests(); !slices.Equal(names, []string{"x.json", "y.json"}) || by != "VK_ICD_FILENAMES" {
		t.Errorf("%q, %q", names, by)
	}

	env["VK_ICD_FILENAMES"] = filepath.Join(root, "home/anna") + string(os.PathListSeparator) + filepath.Join(root, "usr/share/vulkan/icd.d")
	if names, _ := m.manifests(); !slices.Equal(names, []string{"lvp_icd.json"}) {
		t.Errorf("of folders: %q", names)
	}

	e := &examination{Report: &Report{Devices: []gpu.Info{{Name: "G", Vendor: "AMD", Type: gpu.Discrete}}}, o: Options{Machine: m}}
	e.findAdapters()
	if len(e.Findings) != 1 || !strings.Contains(e.Findings[0].Text, "NVIDIA") || e.Findings[0].Level != Warn {
		t.Errorf("%+v", e.Findings)
	}
	e = &examination{Report: &Report{}, o: Options{Device: "cpu", Machine: m}}
	if e.findDevices(); len(e.Findings) != 0 {
		t.Errorf("GPUs do not matter to the processor: %+v", e.Findings)
	}
}

// Who uses lavapipe with vectors of 256 bits on a processor that has 512 is told of the wider ones, and nobody else.
func TestNarrowVectors(t *testing.T) {
	lavapipe := gpu.Info{Name: "llvmpipe", DriverID: gpu.Lavapipe, Type: gpu.CPU, Subgroup: gpu.Subgroup{Size: 8}}
	wide, other := lavapipe, lavapipe
	wide.Subgroup.Size, other.DriverID = 16, gpu.SwiftShader
	levels := []string{"generic", "avx2", "avx512"}
	for _, c := range []struct {
		in     gpu.Info
		levels []string
		width  string
		want   bool
	}{{lavapipe, levels, "", true}, {lavapipe, levels, "256", false}, {lavapipe, levels[:2], "", false}, {wide, levels, "", false}, {other, levels, "", false}} {
		if got := narrowVectors(c.in, c.levels, c.width); got != c.want {
			t.Errorf("%s %d, subgroups of %d on %v, width %q: want %t", c.in.Name, c.in.DriverID, c.in.Subgroup.Size, c.levels, c.width, c.want)
		}
	}
}
