package gputest

import (
	"fmt"
	"os"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// ours is the device that Shared opened, if any.
var ours *gpu.Device

// Shared returns one device for all tests of a package that asks for nothing special, so that what they compile on it
// is compiled once. The test fails if the validation layer has anything to say before it ends. What is left unreleased
// fails the package: its TestMain calls Main.
func Shared(t testing.TB) *gpu.Device {
	t.Helper()
	if ours == nil {
		dev, err := open(t, gpu.DeviceOptions{NoPipelineCache: true})
		if err != nil {
			t.Fatalf("gputest: %v", err)
		}
		ours = dev
	}
	before := len(Messages())
	t.Cleanup(func() { complain(t, before) })
	return ours
}

// Main runs a package's tests and then release, which gives back what was made on the shared device, closes that, and
// ends the process.
func Main(m *testing.M, release func()) {
	code := m.Run()
	if ours != nil {
		release()
		before := len(Messages())
		if err := ours.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "gputest:", err)
			code = max(code, 1)
		}
		for _, m := range Messages()[before:] {
			fmt.Fprintln(os.Stderr, "gputest: validation", m)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}
