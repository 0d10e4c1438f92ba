// Package faultvk makes Vulkan calls fail in tests. It builds a loader of its own with the system's C compiler, which
// passes everything on to the system's one but for the call that shall fail, and tells what it saw. A process takes the
// loader from its environment, so tests start themselves again with Control.Env.
package faultvk

import (
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

//go:embed src/faultvk.c
var source []byte

// Mode says what happens at a fault.
type Mode int64

// Modes.
const (
	Once   Mode = iota // the call fails
	Sticky             // so do all later calls of that function; after a lost device, all that run something
	Hang               // the call never returns
	Slow               // the call takes 200 ms of a processor's time more than else, and does what it should
	Crash              // the call writes to where no memory is
)

func (m Mode) String() string { return [...]string{"once", "sticky", "hang", "slow", "crash"}[m] }

// Fault is a call that fails.
type Fault struct {
	Function string // "": any that returns a VkResult
	At       int    // the number of its call, from 1 on; 0 is none
	Result   int32  // VkResult
	Mode     Mode
}

// Call is a call that was made.
type Call struct {
	Function string
	Phase    byte // as Control.Phase set it
}

// Report is what the loader saw since Begin.
type Report struct {
	Calls    int
	Fired    bool   // the fault happened
	Function string // in which; "" otherwise
	Live     string // objects that are not destroyed, "" if there are none
	Strange  int    // objects destroyed that were not live
}

// As src/faultvk.c lays the file out.
const (
	atPhase   = 8 * 3
	atCalls   = 8 * 4
	atSpoil   = 8 * 10
	atSpoiled = atSpoil + 8*mostSpoil
	atLive    = 8 * 16
	atOnly    = atLive + 8*16
	atNames   = atOnly + nameBytes
	nameBytes = 48
	functions = 64
	mostSpoil = 4
	atTrace   = atNames + nameBytes*functions
	mostCalls = 1 << 20
	fileSize  = atTrace + 2*mostCalls
)

var kinds = [...]string{"", "instance", "device", "buffer", "buffer view", "memory", "query pool", "pipeline cache", "descriptor set layout",
	"pipeline layout", "shader module", "pipeline", "descriptor pool", "command pool", "fence"}

// Control is the file through which a test and the loader in another process, or this one, talk.
type Control struct {
	file   *os.File
	loader string
}

var built struct {
	sync.Once
	path string
	err  error
}

// New builds the loader and makes a control for one process. Where there is no C compiler the test is skipped, or fails
// if RWKV_REQUIRE_GPU=1.
func New(t testing.TB) *Control {
	t.Helper()
	built.Do(func() { built.path, built.err = build() })
	if built.err != nil {
		if os.Getenv("RWKV_REQUIRE_GPU") == "1" && runtime.GOOS == "linux" {
			t.Fatalf("faultvk: %v", built.err)
		}
		t.Skipf("faultvk: %v", built.err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "faultvk"))
	if err == nil {
		err = f.Truncate(fileSize)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return &Control{f, built.path}
}

// Open opens the control that this process was started with.
func Open() (*Control, error) {
	f, err := os.OpenFile(os.Getenv("FAULTVK"), os.O_RDWR, 0)
	return &Control{f, os.Getenv("RWKV_VULKAN_LOADER")}, err
}

// build compiles the loader to a file among the user's cached ones, if it is not there.
func build() (string, error) {
	if runtime.GOOS != "linux" {
		return "", fmt.Errorf("the loader is written for Linux, not for %s", runtime.GOOS)
	}
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "rwkv-gpu")
	lib := filepath.Join(cache, fmt.Sprintf("faultvk-%x.so", sha256.Sum256(source)))
	if _, err := os.Stat(lib); err == nil {
		return lib, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(cache, "faultvk")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	src, made := filepath.Join(dir, "faultvk.c"), filepath.Join(dir, "faultvk.so")
	if err := os.WriteFile(src, source, 0o600); err != nil {
		return "", err
	}
	out, err := exec.Command(cc, "-O1", "-shared", "-fPIC", "-o", made, src, "-ldl", "-lpthread").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", cc, err, out)
	}
	return lib, os.Rename(made, lib) // whole, whoever else makes it at the same time
}

// Env returns what the environment of a process that uses the loader has besides.
func (c *Control) Env() []string {
	return []string{"RWKV_VULKAN_LOADER=" + c.loader, "FAULTVK=" + c.file.Name()}
}

func (c *Control) write(at int64, values ...int64) error {
	var data []byte
	for _, v := range values {
		data = binary.LittleEndian.AppendUint64(data, uint64(v))
	}
	_, err := c.file.WriteAt(data, at)
	return err
}

func (c *Control) read(at int64, n int) ([]int64, error) {
	data := make([]byte, 8*n)
	if _, err := c.file.ReadAt(data, at); err != nil {
		return nil, err
	}
	values := make([]int64, n)
	for i := range values {
		values[i] = int64(binary.LittleEndian.Uint64(data[8*i:]))
	}
	return values, nil
}

// Begin sets the fault of the calls that follow, which are counted from 1 on.
func (c *Control) Begin(f Fault) error {
	name := make([]byte, nameBytes)
	copy(name[:nameBytes-1], f.Function)
	if _, err := c.file.WriteAt(name, atOnly); err != nil {
		return err
	}
	return c.write(0, int64(f.At), int64(f.Result), int64(f.Mode), 0, 0, 0, 0, 0, 0, 0)
}

// Spoil makes some shader modules wrong from now on, in every process with this control: their additions subtract.
func (c *Control) Spoil(modules ...[]byte) error {
	if len(modules) > mostSpoil {
		return fmt.Errorf("faultvk: want at most %d modules to spoil, got %d", mostSpoil, len(modules))
	}
	sums := make([]int64, mostSpoil)
	for i, m := range modules {
		h := fnv.New64a()
		_, _ = h.Write(m) // never fails
		sums[i] = int64(h.Sum64())
	}
	return c.write(atSpoil, sums...)
}

// Spoiled returns how many modules were made wrong so far.
func (c *Control) Spoiled() (int, error) {
	n, err := c.read(atSpoiled, 1)
	if err != nil {
		return 0, err
	}
	return int(n[0]), nil
}

// Phase marks the calls that follow in the trace.
func (c *Control) Phase(p byte) error { return c.write(atPhase, int64(p)) }

// Report returns what was seen.
func (c *Control) Report() (Report, error) {
	var r Report
	seen, err := c.read(atCalls, 5)
	if err != nil {
		return r, err
	}
	r.Calls, r.Fired, r.Strange = int(seen[0]), seen[1] > 0, int(seen[4])
	if r.Fired {
		calls, err := c.trace(int(seen[1])-1, int(seen[1]))
		if err != nil {
			return r, err
		}
		r.Function = calls[0].Function
	}
	live, err := c.read(atLive, len(kinds))
	if err != nil {
		return r, err
	}
	var list []string
	for kind, n := range live {
		if n != 0 {
			list = append(list, fmt.Sprintf("%d %s", n, kinds[kind]))
		}
	}
	r.Live = strings.Join(list, ", ")
	return r, nil
}

// Trace returns the calls, up to the first million.
func (c *Control) Trace() ([]Call, error) {
	n, err := c.read(atCalls, 1)
	if err != nil {
		return nil, err
	}
	return c.trace(0, min(int(n[0]), mostCalls))
}

func (c *Control) trace(from, to int) ([]Call, error) {
	names := make([]byte, nameBytes*functions)
	data := make([]byte, 2*(to-from))
	if _, err := c.file.ReadAt(names, atNames); err != nil {
		return nil, err
	}
	if _, err := c.file.ReadAt(data, int64(atTrace+2*from)); err != nil {
		return nil, err
	}
	calls := make([]Call, to-from)
	for i := range calls {
		name, _, _ := strings.Cut(string(names[nameBytes*int(data[2*i]):][:nameBytes]), "\x00")
		calls[i] = Call{name, data[2*i+1]}
	}
	return calls, nil
}
