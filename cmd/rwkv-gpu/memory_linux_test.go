package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// limited runs a command line in so many KiB of address space.
func limited(t *testing.T, kib int, args ...string) answer {
	t.Helper()
	shell := exec.Command("sh", append([]string{"-c", fmt.Sprintf(`ulimit -v %d; exec "$0" "$@"`, kib), os.Args[0]}, args...)...)
	shell.Env = child().Env
	shell.Stdout, shell.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	return finish(t, shell)
}

// On the CPU a model that there is no memory for is refused in one line, which says how much it wants; where it
// finds that much, it runs.
func TestMemoryOfCPU(t *testing.T) {
	if reference.Race {
		t.Skip("the race detector takes terabytes of addresses")
	}
	args := []string{"logits", "--tokens", "1", "--device", "cpu", "--quiet", "--model", "synthetic:0.1b"}
	const few = 2 << 20
	r := limited(t, few, args...)
	wantError(t, r, statusDevice, "synthetic 0.1b: device CPU: out of memory: want ", " are free")
	// As a reference too, before a device is opened, which would not do in its place.
	compared := limited(t, few, "compare", "--tokens", "1", "--device", "99", "--quiet", "--model", "synthetic:0.1b")
	wantError(t, compared, statusDevice, "synthetic 0.1b: device CPU: out of memory: the reference holds weights as float32 in memory: want ", " are free\n")
	if testing.Short() {
		return
	}
	var want, weights, free int
	if _, err := fmt.Sscanf(r.stderr, "rwkv-gpu: logits: synthetic 0.1b: device CPU: out of memory: want %d MiB, of which weights %d MiB, and %d MiB are free", &want, &weights, &free); err != nil {
		t.Fatal(err)
	}
	for more := 0; ; more += 32 { // what else takes addresses differs from run to run
		r := limited(t, few+(want-free+more)<<10, args...)
		if r.status == statusDone {
			return
		}
		if more == 256 || !strings.Contains(r.stderr, " are free; ") {
			t.Fatalf("with the %d MiB that it wants: %s", want, r)
		}
	}
}
