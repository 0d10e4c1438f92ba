package gpu_test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
)

// Memory of a device that is a processor lies in large pages, where the system has them for who asks.
func TestLargePages(t *testing.T) {
	d := gputest.Device(t)
	if d.Info().Type != gpu.CPU {
		t.Skip("the device has memory of its own")
	}
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("this system has no large pages: ", err)
	}
	b, err := d.NewBuffer("weights", 32<<20, gpu.Upload)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Release()
	at := uintptr(unsafe.Pointer(&b.Bytes()[b.Size()/2]))
	file, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	inside := false
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var begin, end uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &begin, &end); n == 2 {
			inside = begin <= at && at < end
		}
		if flags, found := strings.CutPrefix(lines.Text(), "VmFlags:"); found && inside {
			if !strings.Contains(flags+" ", " hg ") {
				t.Errorf("the flags of the memory's pages are %s, without hg", flags)
			}
			return
		}
	}
	t.Fatal("the memory's pages are not listed")
}
