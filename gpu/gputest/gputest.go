// Package gputest opens Vulkan devices for tests: validation on, of synchronization too, every message
// and every leaked object a failure.
//
// Environment: RWKV_DEVICE picks the device by index or by a part of its name;
// RWKV_REQUIRE_GPU=1 makes a missing device a failure instead of a skip;
// RWKV_REQUIRE_VALIDATION=1 does so for a missing validation layer; RWKV_POISON=1 lets what kernels
// read outside their ranges show, but not barriers that are missing.
package gputest

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// shared is the one instance of the process, opened on first use and never closed.
var shared struct {
	once     sync.Once
	instance *gpu.Instance
	err      error

	mu       sync.Mutex
	messages []string
}

// layerSettings make the validation layer also watch for missing barriers, which software drivers forgive, within a
// recording and between submissions, and let it repeat itself. Its older versions read the first, its newer ones the
// others.
var layerSettings = map[string]string{
	"VK_LAYER_ENABLES": "VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT" + string(os.PathListSeparator) +
		"VALIDATION_CHECK_ENABLE_SYNCHRONIZATION_VALIDATION_QUEUE_SUBMIT",
	"VK_LAYER_VALIDATE_SYNC":                     "1",
	"VK_LAYER_SYNCVAL_SUBMIT_TIME_VALIDATION":    "1",
	"VK_LAYER_SYNCVAL_SHADER_ACCESSES_HEURISTIC": "1",
	"VK_LAYER_DUPLICATE_MESSAGE_LIMIT":           "1000000",
}

// layerWaited is in what the layer says of itself where its own thread, on a machine with much else to do, has not seen
// within ten seconds that a fence is signalled. It says nothing of the program.
const layerWaited = "UNASSIGNED-VkFence-state-timeout"

// counts reports whether a test fails for what the layer says.
func counts(s gpu.Severity, text string) bool {
	return s >= gpu.Warning && !strings.Contains(text, layerWaited)
}

// Instance returns the process's instance. Without a device the test is skipped, or fails if
// RWKV_REQUIRE_GPU=1.
func Instance(t testing.TB) *gpu.Instance {
	t.Helper()
	shared.once.Do(func() {
		_, benchmark := t.(*testing.B) // which would measure what the layer does for a submission
		for name, value := range layerSettings {
			if poison() > 0 || benchmark {
				break // with poison barriers are those of the ranges, and the layer sees what is bound
			}
			if _, set := os.LookupEnv(name); !set {
				_ = os.Setenv(name, value)
			}
		}
		shared.instance, shared.err = gpu.Open(gpu.Options{
			Validate: gpu.HasValidation() || os.Getenv("RWKV_REQUIRE_VALIDATION") == "1",
			OnMessage: func(s gpu.Severity, text string) {
				if counts(s, text) {
					shared.mu.Lock()
					shared.messages = append(shared.messages, s.String()+": "+text)
					shared.mu.Unlock()
				}
			},
		})
	})
	if shared.err != nil {
		if os.Getenv("RWKV_REQUIRE_GPU") == "1" || errors.Is(shared.err, gpu.ErrNoValidation) {
			t.Fatalf("gputest: required: %v", shared.err)
		}
		t.Skipf("no Vulkan device to test on: %v", shared.err)
	}
	return shared.instance
}

// Device opens a device, without a pipeline cache on disk unless opts name a directory for it,
// and closes it when the test ends. The test fails if by then the validation layer had
// anything to say or an object was not released.
func Device(t testing.TB, opts ...gpu.DeviceOptions) *gpu.Device {
	t.Helper()
	o := gpu.DeviceOptions{}
	if len(opts) > 0 {
		o = opts[0]
	}
	o.NoPipelineCache = o.PipelineCacheDir == ""
	before := len(Messages())
	dev, err := open(t, o)
	if err != nil {
		t.Fatalf("gputest: %v", err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Errorf("gputest: %v", err)
		}
		complain(t, before)
	})
	return dev
}

// waitLimit is after how long a device counts as hanging: on a busy machine, a driver that compiles a kernel when it
// first runs, as lavapipe does, may take more than the usual half minute.
const waitLimit = 5 * time.Minute

// open opens the device that the environment names.
func open(t testing.TB, o gpu.DeviceOptions) (*gpu.Device, error) {
	t.Helper()
	in := Instance(t)
	if o.Poison == 0 {
		o.Poison = poison()
	}
	if _, set := os.LookupEnv("RWKV_WAIT_LIMIT"); o.WaitLimit == 0 && !set {
		o.WaitLimit = waitLimit
	}
	index, err := Choose(in.Devices(), os.Getenv("RWKV_DEVICE"))
	if err != nil {
		return nil, err
	}
	return in.Device(index, o)
}

// poison returns how much of it lies behind buffers.
func poison() int {
	if os.Getenv("RWKV_POISON") != "1" {
		return 0
	}
	return 4096
}

// complain fails the test for each message beyond the first so many.
func complain(t testing.TB, before int) {
	for _, m := range Messages()[before:] {
		t.Errorf("gputest: validation %s", m)
	}
}

// Messages returns all warnings and errors that the instance has reported so far.
func Messages() []string {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	return append([]string(nil), shared.messages...)
}

// Absent skips a test unless it is to run on the drivers of GPUs that are not there (scripts/gpus.sh -validate): other
// tests are for those that are. It fails without a validation layer.
func Absent(t testing.TB) {
	t.Helper()
	if os.Getenv("RWKV_GPUS") != "validated" {
		t.Skip("RWKV_GPUS=validated is not set: it is for GPUs that are not there, other tests for those that are")
	}
	Instance(t)
	if !gpu.HasValidation() {
		t.Fatal("want a validation layer")
	}
}

// Provoke returns what the instance reports while f runs, which no test fails for.
func Provoke(t testing.TB, f func()) []string {
	t.Helper()
	Instance(t)
	before := len(Messages())
	f()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	heard := append([]string(nil), shared.messages[before:]...)
	shared.messages = shared.messages[:before]
	return heard
}

// Choose finds a device by index or by a part of its name, upper or lower case; "" is gpu.Pick.
func Choose(infos []gpu.Info, want string) (int, error) {
	if want == "" {
		return gpu.Pick(infos), nil
	}
	if i, err := strconv.Atoi(want); err == nil {
		if i < 0 || i >= len(infos) {
			return 0, fmt.Errorf("RWKV_DEVICE=%s: there are %d devices", want, len(infos))
		}
		return i, nil
	}
	var names []string
	for _, in := range infos {
		if strings.Contains(strings.ToLower(in.Name), strings.ToLower(want)) {
			return in.Index, nil
		}
		names = append(names, in.Name)
	}
	return 0, fmt.Errorf("RWKV_DEVICE=%s names none of %s", want, strings.Join(names, ", "))
}
