//go:build unix

package weights_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// A named pipe is refused rather than waited for.
func TestOpenRefusesPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip("no named pipes here:", err)
	}
	_, err := weights.Open(pipe)
	wantError(t, err, pipe, "special file")
}
