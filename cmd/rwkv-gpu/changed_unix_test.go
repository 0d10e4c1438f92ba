//go:build unix

package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// changedSize is large enough for a load to take a while.
var changedSize = weightstest.Size{Vocab: 4096, Embed: 384, Layers: 6, Head: 64, FFN: 1536, W: 32, A: 32, V: 16, G: 64}

// changes are what others do to a model file, of which other is one of the same size. Each write is a system call, as
// the system keeps the time of the last write for each.
var changes = []struct {
	name string
	do   func(path string, other []byte) error
}{
	{"cut to nothing", func(path string, _ []byte) error { return os.Truncate(path, 0) }},
	{"cut by half", func(path string, other []byte) error { return os.Truncate(path, int64(len(other)/2)) }},
	{"its end cut off", func(path string, other []byte) error { return os.Truncate(path, int64(len(other)-5000)) }},
	{"cut and filled with zeros", func(path string, other []byte) error {
		if err := os.Truncate(path, 100); err != nil {
			return err
		}
		return os.Truncate(path, int64(len(other)))
	}},
	{"overwritten", func(path string, other []byte) error {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		for part := range slices.Chunk(other, 64<<10) {
			if _, err := f.Write(part); err != nil {
				return err
			}
		}
		return f.Close()
	}},
	{"replaced by another file", func(path string, other []byte) error {
		if err := os.WriteFile(path+".new", other, 0o600); err != nil {
			return err
		}
		return os.Rename(path+".new", path)
	}},
}

// A model file that is cut, overwritten or replaced at any time while a command runs gives the file's own result, that
// of the file in its place, or one line that names it and status 3; never a crash, and never the numbers of two files.
func TestChangedWhileRead(t *testing.T) {
	files := make([][]byte, 2)
	for seed := range files {
		files[seed] = weightstest.Safetensors(weightstest.RWKV7(changedSize, tensor.F16, uint64(seed)), nil)
	}
	devices(t, func(t *testing.T, device string) {
		if device != "cpu" {
			reference.RacedIn(t, "the runs on the CPU")
		}
		tries := 18
		if testing.Short() {
			tries = 6
		}
		dir := t.TempDir()
		path := filepath.Join(dir, "m.st")
		args := []string{"logits", "--tokens", "1,2,3", "--json", "--quiet", "--device", device, "--model", path}
		var right []string
		var longest time.Duration
		for _, data := range files {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			r := finish(t, start(t, args...))
			longest = max(longest, time.Since(begin))
			if r.status != statusDone {
				t.Fatal(r)
			}
			right = append(right, r.stdout)
		}
		rng := rand.New(rand.NewPCG(1, uint64(tries)))
		refused := 0
		for try := range tries {
			c := changes[try%len(changes)]
			if err := os.WriteFile(path, files[0], 0o600); err != nil {
				t.Fatal(err)
			}
			p := start(t, args...)
			time.Sleep(time.Duration(rng.Float64() * float64(longest)))
			if err := c.do(path, files[1]); err != nil {
				t.Fatal(err)
			}
			r := finish(t, p)
			switch {
			case r.status == statusDone && r.stderr == "" && (r.stdout == right[0] || r.stdout == right[1]):
			case r.status == statusInput && r.stdout == "" && strings.HasPrefix(r.stderr, "rwkv-gpu: logits: "+path+": ") && strings.Count(r.stderr, "\n") == 1:
				refused++
			default:
				t.Errorf("%s: %s", c.name, r)
			}
		}
		if refused == 0 && !testing.Short() {
			t.Errorf("none of %d runs was ended by a change: the guard was never needed", tries)
		}
		t.Logf("%d of %d runs were ended by the change", refused, tries)
	})
}
