package gpu

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	vk "github.com/vulkan-go/vulkan"
)

// open opens the first device, and returns the messages it gives.
func open(t *testing.T, validate bool, opts DeviceOptions) (*Device, func() []string) {
	t.Helper()
	var mu sync.Mutex
	var texts []string
	in, err := Open(Options{Validate: validate, OnMessage: func(s Severity, text string) {
		mu.Lock()
		defer mu.Unlock()
		texts = append(texts, s.String()+": "+text)
	}})
	if err != nil {
		t.Skipf("no Vulkan device to test on: %v", err)
	}
	d, err := in.Device(Pick(in.Devices()), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), texts...)
	}
}

// The validation layer is heard: silence elsewhere means something.
func TestValidationIsHeard(t *testing.T) {
	if !HasValidation() {
		t.Skip("no validation layer installed")
	}
	d, messages := open(t, true, DeviceOptions{NoPipelineCache: true})
	if got := messages(); len(got) != 0 {
		t.Fatalf("messages before any mistake: %q", got)
	}
	info := vk.BufferCreateInfo{SType: vk.StructureTypeBufferCreateInfo, Size: 0, Usage: bufferUsage} // size 0 is forbidden
	var b vk.Buffer
	if vk.CreateBuffer(d.vk, &info, nil, &b) == vk.Success {
		vk.DestroyBuffer(d.vk, b, nil)
	}
	info.Free()
	if got := messages(); len(got) != 1 || !strings.HasPrefix(got[0], "error: ") || !strings.Contains(got[0], "VUID-VkBufferCreateInfo-size") {
		t.Errorf("messages %q, want one error", got)
	}
}

func TestInfo(t *testing.T) {
	d, _ := open(t, false, DeviceOptions{NoPipelineCache: true})
	in := d.Info()
	if in.Name == "" || in.Driver == "" || in.API < "1.1" || in.MemoryBytes == 0 || typeOrder[in.Type] < 0 {
		t.Errorf("info %+v", in)
	}
	l := in.Limits
	// The least that the Vulkan specification allows.
	for name, ok := range map[string]bool{
		"storage range": l.MaxStorageBufferRange >= 1<<27, "texels": l.MaxTexelBufferElements >= 65536, "allocation": l.MaxAllocationSize >= 1<<20,
		"invocations": l.MaxWorkgroupInvocations >= 128, "count": l.MaxWorkgroupCount[0] >= 65535, "shared": l.SharedMemory >= 16384,
		"push": l.PushConstants >= 128, "alignment": l.StorageOffsetAlignment <= 256, "bindings": l.MaxStorageBuffers >= 4,
	} {
		if !ok {
			t.Errorf("limit %s: %+v", name, l)
		}
	}
	var f vk.PhysicalDeviceFeatures
	vk.GetPhysicalDeviceFeatures(vk.PhysicalDevice(d.phys.handle), &f)
	f.Deref()
	defer f.Free()
	if (f.ShaderInt16 != 0) != in.Features.Int16 || (f.ShaderInt64 != 0) != in.Features.Int64 || (f.ShaderFloat64 != 0) != in.Features.Float64 {
		t.Errorf("features %+v differ from the binding's", in.Features)
	}
	text, err := json.Marshal(in)
	for _, want := range []string{`"type":"` + string(in.Type) + `"`, `"subgroup":{"size":`, `"max_storage_buffer_range":`, `"storage16":`} {
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("json %s, error %v: no %s", text, err, want)
		}
	}
}

// A device taken for another type is that everywhere, and its name says so; a type that is none is refused.
func TestDeviceType(t *testing.T) {
	t.Setenv(typeEnv, "")
	d, _ := open(t, false, DeviceOptions{NoPipelineCache: true})
	as := map[Type]Type{Discrete: CPU, CPU: Discrete, Integrated: Discrete, Virtual: Discrete, Other: Discrete}[d.Info().Type]
	t.Setenv(typeEnv, string(as))
	other, _ := open(t, false, DeviceOptions{NoPipelineCache: true})
	if in := other.Info(); in.Type != as || in.Name != d.Info().Name+" as "+string(as) || other.shared != (as == CPU) ||
		other.opts.NoDirectAccess != (as == Discrete) {
		t.Errorf("as %s: %+v, memory shared: %t, staged: %t", as, in, other.shared, other.opts.NoDirectAccess)
	}
	t.Setenv(typeEnv, "gpu")
	if in, err := Open(Options{}); err == nil || err.Error() != "vulkan: RWKV_DEVICE_TYPE=gpu: want discrete, integrated, virtual, cpu or other" {
		t.Errorf("a type that is none: error %v", err)
		if err == nil {
			_ = in.Close()
		}
	}
}

func TestPipelineCache(t *testing.T) {
	dir := t.TempDir()
	use := func(want string) {
		t.Helper()
		d, messages := open(t, false, DeviceOptions{PipelineCacheDir: dir})
		k, err := d.NewKernel(KernelDesc{Name: "next", SPIRV: testCode(t, "next"), PushBytes: 8,
			Bindings: []Binding{{Name: "src", Access: Read}, {Name: "dst", Access: Write}}})
		if err != nil {
			t.Fatal(err)
		}
		k.Release()
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(messages(), "; "); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("messages %q, want %q", got, want)
		}
	}
	use("")
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) != 1 || !strings.HasSuffix(files[0], ".bin") {
		t.Fatalf("files %v, want one cache and no rest", files)
	}
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	use("") // read back
	for want, damage := range map[string]func(b []byte) []byte{
		"not a pipeline cache":    func(b []byte) []byte { return b[:10] },
		"checksum does not match": func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
	} {
		if err := os.WriteFile(files[0], damage(append([]byte(nil), good...)), 0o644); err != nil {
			t.Fatal(err)
		}
		stale := filepath.Join(dir, "."+filepath.Base(files[0])+".1-1.part") // as a killed process leaves it
		if err := os.WriteFile(stale, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		use(want)
		if list, err := os.ReadDir(dir); err != nil || len(list) != 1 && runtime.GOOS != "windows" {
			t.Errorf("%s: want the cache alone, got %v (%v)", want, list, err)
		}
		if now, err := os.ReadFile(files[0]); err != nil || !strings.HasPrefix(string(now), cacheMagic) || len(now) < 72 {
			t.Errorf("%s: the cache was not written anew: %v", want, err)
		}
	}
}

func TestInstanceCloseWithOpenDevice(t *testing.T) {
	in, err := Open(Options{})
	if err != nil {
		t.Skipf("no Vulkan device to test on: %v", err)
	}
	d, err := in.Device(0, DeviceOptions{NoPipelineCache: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Close(); err == nil {
		t.Error("instance closed under its device")
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
}
