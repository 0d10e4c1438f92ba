package device

import (
	"errors"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// A reference that the machine has no memory for is refused with what it needs and what is free; nothing else would
// fit.
func TestReferenceRoom(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		free  int
		known bool
		want  string
	}{
		{12 * mib, true, ""}, {0, false, ""},
		{12*mib - 1, true, "device CPU: out of memory: the reference holds weights as float32 in memory: want 12 MiB, of which weights 10 MiB, and 12 MiB are free"},
		{mib, true, "device CPU: out of memory: the reference holds weights as float32 in memory: want 12 MiB, of which weights 10 MiB, and 1 MiB are free"},
	} {
		err := room{cpuName, 10 * mib, 2 * mib, c.free, c.known}.check(holdsFloats, nil)
		if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want || !errors.Is(err, gpu.ErrOutOfMemory)) {
			t.Errorf("%d free: want %q, got %v", c.free, c.want, err)
		}
	}
}
