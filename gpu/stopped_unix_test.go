//go:build unix

package gpu_test

import (
	"bytes"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
)

// A process that is stopped for longer than a wait may take, as by Ctrl-Z, goes on when it is continued.
func TestStopped(t *testing.T) {
	if gputest.IsFaulty() {
		if _, err := work(nil, nil); err != nil {
			t.Error(err)
		}
		return
	}
	ctl := faultvk.New(t)
	if err := ctl.Begin(faultvk.Fault{Function: "vkWaitForFences", At: 1, Mode: faultvk.Slow}); err != nil {
		t.Fatal(err)
	}
	cmd := gputest.FaultyProcess(t, ctl, waitLimit("4"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // which has ended if all is well
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(10 * time.Millisecond) {
		if r, err := ctl.Report(); err != nil || r.Fired {
			break
		}
	}
	for _, s := range []os.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		if s == syscall.SIGSTOP {
			time.Sleep(5 * time.Second)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
}
