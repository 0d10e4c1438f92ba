//go:build unix

package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// never and atOnce are clocks whose time to wait is never over, or has been over before.
func never(time.Duration) <-chan time.Time { return nil }

func atOnce(time.Duration) <-chan time.Time {
	over := make(chan time.Time)
	close(over)
	return over
}

func put(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pipe(t *testing.T, path string) string {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Whatever lies at a path gives its bytes, or an error in bounded time and memory.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	link := at("link")
	if err := os.Symlink("good", link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path    string
		want    error  // nil: its bytes are "good"
		regular error  // of ReadRegular
		message string // of Read
	}{
		{put(t, at("good"), []byte("good")), nil, nil, ""},
		{link, nil, nil, ""},
		{put(t, at("long"), []byte("too long")), ErrTooLarge, ErrTooLarge, "want at most 5 bytes, got 8"},
		{at("absent"), fs.ErrNotExist, fs.ErrNotExist, "no such file"},
		{dir, ErrNotRegular, ErrNotRegular, "want a file, got a directory"},
		{"/dev/zero", ErrTooLarge, ErrNotRegular, "want at most 5 bytes, got more"},
		{pipe(t, at("silent")), errSilent, ErrNotRegular, "nothing for 10s"},
	} {
		after := never
		if errors.Is(c.want, errSilent) {
			after = atOnce
		}
		data, err := read(c.path, 5, after)
		_, regular := ReadRegular(c.path, 5)
		if c.want == nil {
			if err != nil || string(data) != "good" || regular != nil {
				t.Errorf("%s: %q (%v, %v)", c.path, data, err, regular)
			}
			continue
		}
		var p *fs.PathError
		if !errors.As(err, &p) || p.Path != c.path || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: want an error of the path with %q, got %v", c.path, c.message, err)
		}
		if !errors.Is(err, c.want) || !errors.Is(regular, c.regular) {
			t.Errorf("%s: %v, %v", c.path, err, regular)
		}
	}
}

// What comes from a pipe is read to its end, however slowly, and no further than the bound. Once somebody writes to it,
// there is no time to be late.
func TestReadPipe(t *testing.T) {
	const held = 64 << 10 // bytes that a pipe holds: who could write more has a reader
	good := strings.Repeat("good", held/2)
	for range 10 { // of several things that are ready, Go takes any
		for name, c := range map[string]struct {
			parts []string
			want  error
		}{
			"whole":    {[]string{good}, nil},
			"in parts": {[]string{good[:held+1], "", good[held+1:]}, nil},
			"too long": {[]string{good, "!"}, ErrTooLarge},
		} {
			path := pipe(t, filepath.Join(t.TempDir(), "pipe"))
			reading := make(chan struct{})
			go func() {
				defer close(reading)
				f, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err != nil {
					t.Error(err)
					return
				}
				for i, part := range c.parts {
					if _, _ = io.WriteString(f, part); i == 0 { // the reader may have gone
						reading <- struct{}{}
					}
				}
				_ = f.Close()
			}()
			data, err := read(path, int64(len(good)), func(d time.Duration) <-chan time.Time {
				<-reading
				return atOnce(d)
			})
			if !errors.Is(err, c.want) || err == nil && string(data) != good {
				t.Errorf("%s: %d bytes (%v)", name, len(data), err)
			}
			<-reading // the writer has gone too
		}
	}
}

// The start of a file comes with the size of all of it; what is no regular file has none.
func TestReadStart(t *testing.T) {
	dir := t.TempDir()
	path := put(t, filepath.Join(dir, "file"), []byte("good"))
	for most, want := range map[int64]string{0: "", 3: "goo", 4: "good", 9: "good"} {
		if data, size, err := ReadStart(path, most); string(data) != want || size != 4 || err != nil {
			t.Errorf("at most %d: %q of %d (%v)", most, data, size, err)
		}
	}
	for path, want := range map[string]error{
		filepath.Join(dir, "absent"): fs.ErrNotExist, dir: ErrNotRegular, "/dev/zero": ErrNotRegular, pipe(t, filepath.Join(dir, "silent")): ErrNotRegular,
	} {
		var p *fs.PathError
		if _, _, err := ReadStart(path, 4); !errors.Is(err, want) || !errors.As(err, &p) || p.Path != path {
			t.Errorf("%s: want %v with the path, got %v", path, want, err)
		}
	}
}

const killedEnv = "RWKV_TEST_REPLACE"

// What a killed process had begun goes with the next that writes the same file; what one that runs is writing stays,
// and so do files of other names.
func TestReplaceCleans(t *testing.T) {
	if target := os.Getenv(killedEnv); target != "" {
		_ = Replace(target, func(w io.Writer) error {
			if _, err := w.Write(make([]byte, 2<<20)); err != nil {
				return err
			}
			fmt.Println("begun")
			_, err := io.Copy(io.Discard, os.Stdin) // until it is killed, or its parent has gone
			return errors.Join(err, io.ErrUnexpectedEOF)
		}, nil)
		return
	}
	dir := t.TempDir()
	target := filepath.Join(dir, "out.gguf")
	others := []string{".out.gguf.x.part", ".out.gguf..part", ".out.gguf.-1.part", ".out.gguf.x1-2.part", ".other.gguf.12.part", "out.gguf.12.part", ".out.gguf.12.parts"}
	for _, name := range others {
		put(t, filepath.Join(dir, name), nil)
	}
	begin := func() *exec.Cmd {
		c := reference.Self("-test.run=^TestReplaceCleans$")
		c.Env = append(os.Environ(), killedEnv+"="+target)
		if _, err := c.StdinPipe(); err != nil { // which stays open
			t.Fatal(err)
		}
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, len("begun"))); err != nil {
			t.Fatal(err)
		}
		return c
	}
	end := func(c *exec.Cmd) {
		_ = c.Process.Kill()
		_ = c.Wait() // it was killed
	}
	begun := func() (n int) {
		names, err := filepath.Glob(filepath.Join(dir, ".out.gguf.[0-9]*.part"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	killed := begin()
	end(killed)
	running := begin()
	if n := begun(); n != 1 {
		t.Errorf("want the file of the process that runs, got %d", n)
	}
	if err := Replace(target, func(w io.Writer) error { _, err := io.WriteString(w, "whole"); return err }, nil); err != nil {
		t.Fatal(err)
	}
	if n := begun(); n != 1 {
		t.Errorf("want the file of the process that runs, got %d", n)
	}
	end(running)
	if err := Keep(target, []byte("whole"), false); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(target); err != nil || !bytes.Equal(data, []byte("whole")) || begun() != 0 {
		t.Errorf("%q (%v), %d files begun", data, err, begun())
	}
	for _, name := range others {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}
