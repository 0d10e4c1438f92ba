//go:build unix

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// printing are command lines that print results.
var printing = [][]string{
	{"--help"}, {"help", "generate"}, {"--version"}, {"version"}, {"version", "--json"}, {"info"}, {"info", "--json"}, {"tokenize", "Once"},
	{"tokenize", "--decode", "1,2"}, {"logits", "--tokens", "1", "--device", "cpu"}, {"logits", "--tokens", "1", "--device", "cpu", "--json"},
	{"generate", "Once", "-n", "3", "--device", "cpu", "--quiet"}, {"generate", "Once", "-n", "3", "--device", "cpu", "--json"},
}

// Results that cannot be written are an error of one line and status 1, whoever prints them: on a full disk, and where
// standard output is closed. That nobody reads on is a clean end.
func TestOutputFails(t *testing.T) {
	reference.RacedIn(t, "TestOutputEnds")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here, which is Linux's")
	}
	defer full.Close()
	for _, args := range printing {
		want := strings.Join(args, " ")
		r := runTo(t, full, args)
		if r.status != statusFailed || !strings.Contains(r.stderr, "standard output: write /dev/stdout: no space left on device\n") || strings.Count(r.stderr, "rwkv-gpu: ") != 1 {
			t.Errorf("%s to a full disk: %s", want, r)
		}
		shell := exec.Command("sh", append([]string{"-c", `exec "$0" "$@" >&-`, os.Args[0]}, args...)...)
		shell.Env = child().Env
		shell.Stderr = new(bytes.Buffer)
		if err := shell.Start(); err != nil {
			t.Fatal(err)
		}
		r = finish(t, shell)
		if r.status != statusFailed || !strings.Contains(r.stderr, "standard output: write /dev/stdout: bad file descriptor\n") || strings.Count(r.stderr, "rwkv-gpu: ") != 1 {
			t.Errorf("%s, closed: %s", want, r)
		}
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		_ = read.Close()
		if r := runTo(t, write, args); r.status != statusDone || strings.Contains(r.stderr, "rwkv-gpu: ") {
			t.Errorf("%s, which nobody reads: %s", want, r)
		}
		_ = write.Close()
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if r := runTo(t, null, args); r.status != statusDone {
			t.Errorf("%s to the null device: %s", want, r)
		}
		_ = null.Close()
	}
}

// runTo runs a command line with standard output to a file.
func runTo(t *testing.T, stdout *os.File, args []string) answer {
	t.Helper()
	c := child(args...)
	c.Stdout, c.Stderr = stdout, new(bytes.Buffer)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return finish(t, c)
}

// --state-out writes over states and empty files, and over anything else, the model and the vocabulary included, only
// by --force; it says so before any work, and nothing is lost.
func TestStateOutOver(t *testing.T) {
	model := tinyModel(t, nil)
	dir := filepath.Dir(model)
	at := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	args := func(out string, more ...string) []string {
		return append([]string{"logits", "--quiet", "--device", "cpu", "--tokens", "1,2", "--model", model, "--state-out", out}, more...)
	}
	state := filepath.Join(dir, "state")
	if r := cli(args(state)...); r.status != statusDone {
		t.Fatal(r)
	}
	saved, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(model, link); err != nil {
		t.Fatal(err)
	}
	weights, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{
		model: weights, link: weights,
		at("vocab.txt", worldOf(67)):             worldOf(67),
		at("notes", []byte("x")):                 []byte("x"),
		at("short", saved[:9]):                   saved[:9],
		at("zeros", make([]byte, 100)):           make([]byte, 100),
		at("other.json", []byte(`{"format":1}`)): []byte(`{"format":1}`),
	} {
		r := cli(args(path)...)
		wantError(t, r, statusUsage, path+": the file exists, and is no state file (--force replaces it)")
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) || r.stdout != "" {
			t.Errorf("%s was changed (%v), or something printed: %s", path, err, r)
		}
	}
	wantError(t, cli(args(dir)...), statusUsage, dir+": want a file, got a directory")
	for _, path := range []string{state, at("empty", nil), at("of another model", bytes.Replace(saved, []byte(`"model":"v7"`), []byte(`"model":"v6"`), 1)),
		at("damaged", append(bytes.Clone(saved[:len(saved)-1]), 0x55))} {
		if r := cli(args(path)...); r.status != statusDone {
			t.Errorf("%s: %s", path, r)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, saved) {
			t.Errorf("%s holds something else (%v)", path, err)
		}
	}
	if r := cli(args(filepath.Join(dir, "notes"), "--force")...); r.status != statusDone {
		t.Error(r)
	}
	// Over the very model that it came from, by --force.
	if r := cli(args(link, "--force")...); r.status != statusDone {
		t.Error(r)
	}
	if got, err := os.ReadFile(model); err != nil || !bytes.Equal(got, saved) {
		t.Errorf("the model's place holds something else (%v)", err)
	}
}

// A state that cannot be written is an error of writing, status 1, and leaves nothing.
func TestStateOutFails(t *testing.T) {
	model, dir := tinyModel(t, nil), t.TempDir()
	args := func(out string) []string {
		return []string{"logits", "--quiet", "--device", "cpu", "--tokens", "1,2", "--model", model, "--state-out", out}
	}
	wantError(t, cli(args(filepath.Join(dir, "no", "folder"))...), statusFailed, "folder: open: no such file")
	if _, err := os.Stat("/dev/full"); err == nil {
		wantError(t, cli(args("/dev/full")...), statusFailed, "/dev/full: write: no space left on device")
	}
	out := filepath.Join(dir, "state")
	shell := exec.Command("sh", append([]string{"-c", `ulimit -f 4; exec "$0" "$@"`, os.Args[0]}, args(out)...)...) // of 512 bytes
	shell.Env = child().Env
	shell.Stdout, shell.Stderr = io.Discard, new(bytes.Buffer)
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	wantError(t, finish(t, shell), statusFailed, "logits: "+out+": write: file too large")
	if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
		t.Errorf("files are left: %v (%v)", list, err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan []byte)
	go func() {
		data, err := os.ReadFile(pipe)
		if err != nil {
			t.Error(err)
		}
		read <- data
	}()
	if r := cli(args(pipe)...); r.status != statusDone {
		t.Error(r)
	}
	if data := <-read; !bytes.Contains(data[:200], []byte("rwkv-gpu state")) {
		t.Errorf("through a pipe came %.100q", data)
	}
}
