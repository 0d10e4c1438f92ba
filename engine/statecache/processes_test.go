package statecache

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

const (
	folderEnv = "RWKV_TEST_FOLDER" // in which a process of these tests keeps states
	seedEnv   = "RWKV_TEST_SEED"
	roundsEnv = "RWKV_TEST_ROUNDS" // how many states, or "ever"
)

// processesShare are the options of the caches that share a folder. The size of a state makes a file of some pages.
func processesShare(dir string) Options {
	const size = 5000
	return Options{Size: size, Host: 3 * (4*size + 200), Disk: 30 * (4*size + 200), Dir: dir, Identity: "processes"}
}

// stateOf fills a state that no other ids have.
func stateOf(state []float32, ids []int) {
	for i, v := 0, after(ids); i < len(state); i++ {
		state[i] = v[i%len(v)] + float32(i)
	}
}

// wrongState reports whether a hit is not the state of its ids.
func wrongState(hit *Hit, ids []int) bool {
	want := make([]float32, len(hit.State))
	stateOf(want, ids[:hit.Tokens])
	return !slices.Equal(hit.State, want)
}

// TestProcess is what a process of these tests does, and no test by itself: it keeps and finds states in a folder that
// others use too, and says a line for each state that it finds.
func TestProcess(t *testing.T) {
	dir := os.Getenv(folderEnv)
	if dir == "" {
		return
	}
	seed, err := strconv.Atoi(os.Getenv(seedEnv))
	if err != nil {
		t.Fatal(err)
	}
	rounds, err := strconv.Atoi(os.Getenv(roundsEnv))
	if err != nil {
		rounds = 1 << 30
	}
	o := processesShare(dir)
	c := newCache(t, o)
	s := c.Space("ann")
	r := rand.New(rand.NewPCG(uint64(seed), 1))
	for i := range rounds {
		ids := make([]int, 1+r.IntN(8))
		for j := range ids {
			ids[j] = r.IntN(2)
		}
		hit := s.Find(ids, len(ids))
		if hit.Tokens > 0 {
			if wrongState(hit, ids) {
				t.Fatalf("a wrong state after %v", ids[:hit.Tokens])
			}
			fmt.Println("found")
		}
		hit.Release()
		// What the others write with it may be of another length.
		meta := Meta{Kind: Turn, Pending: -1, Sampler: make([]byte, seed)}
		if d := s.Reserve(ids, meta); d != nil {
			stateOf(d.State(), ids)
			d.Commit()
		}
		if i%8 == 7 {
			if err := c.Sync(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := c.Stats().Broken; n > 0 {
		t.Errorf("%d broken files", n)
	}
}

// process starts one.
func process(t *testing.T, dir string, seed int, rounds string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := reference.Self("-test.run=^TestProcess$")
	cmd.Env = append(os.Environ(), folderEnv+"="+dir, seedEnv+"="+strconv.Itoa(seed), roundsEnv+"="+rounds)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// found counts the lines that a process says until it ends, or most.
func found(lines *bufio.Scanner, most int) (n int, rest string) {
	for n < most && lines.Scan() {
		if lines.Text() == "found" {
			n++
		} else {
			rest += lines.Text() + "\n"
		}
	}
	return n, rest
}

// wantWhole wants every file in a folder to be whole and within the budget, and nothing else to be there.
func wantWhole(t *testing.T, dir string) {
	t.Helper()
	o := processesShare(dir)
	c := newCache(t, o)
	if err := c.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	var bytes int64
	for _, name := range names(t, dir) {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || strings.HasSuffix(name, ".part") {
			t.Errorf("%s is left (%v)", name, err)
			continue
		}
		bytes += info.Size()
	}
	kept := 0
	for n := 1; n <= 8; n++ {
		for i := range 1 << n {
			ids := make([]int, n)
			for j := range ids {
				ids[j] = i >> j & 1
			}
			hit := c.Space("ann").Find(ids, n)
			if hit.Tokens > 0 && wrongState(hit, ids) {
				t.Errorf("a wrong state after %v", ids[:hit.Tokens])
			}
			if hit.Tokens == n {
				kept++
			}
			hit.Release()
		}
	}
	if s := c.Stats(); s.Broken > 0 || s.Disk != bytes || bytes > o.Disk || kept == 0 || kept != s.Checkpoints {
		t.Errorf("%d bytes of files, %d states found, %+v", bytes, kept, s)
	}
}

// Processes that keep states in one folder find each other's, never a wrong one, and never take a whole file for
// broken, also where they write the same checkpoint with something else beside it.
func TestProcessesOnOneFolder(t *testing.T) {
	dir := t.TempDir()
	var all []*exec.Cmd
	var lines []*bufio.Scanner
	for seed := 1; seed <= 3; seed++ {
		cmd, out := process(t, dir, seed, "150")
		all, lines = append(all, cmd), append(lines, out)
	}
	for i, cmd := range all {
		n, rest := found(lines[i], 1<<30)
		if err := cmd.Wait(); err != nil || n < 50 {
			t.Errorf("process %d: %d states found: %v: %s", i+1, n, err, rest)
		}
	}
	wantWhole(t, dir)
}

// A process that is killed, at any moment, leaves no wrong state, and nothing that stays for ever; another one that
// uses the folder meanwhile notices nothing.
func TestProcessKilled(t *testing.T) {
	dir := t.TempDir()
	witness, told := process(t, dir, 1, "400")
	r := rand.New(rand.NewPCG(4, 4))
	for i := range 8 {
		cmd, lines := process(t, dir, 2+i, "ever")
		if n, rest := found(lines, 5+r.IntN(40)); n < 5 {
			t.Errorf("process %d: %d states found: %s", i, n, rest)
		}
		time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond) // so that it is not always killed at the same work
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Errorf("process %d ended by itself", i)
		}
	}
	n, rest := found(told, 1<<30)
	if err := witness.Wait(); err != nil || n < 100 {
		t.Errorf("the process that stays: %d states found: %v: %s", n, err, rest)
	}
	wantWhole(t, dir)
}

// What another process uses stays, though this one has no use for it and needs the room.
func TestUsedByAnother(t *testing.T) {
	dir := t.TempDir()
	o := Options{Size: fakeSize, Host: 2000, Disk: 10 * 250, Dir: dir, Identity: "fake"}
	mine := newCache(t, o)
	theirs := newCache(t, o)
	sync := func(c *Cache) {
		t.Helper()
		if err := c.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	used, unused := []int{9, 9, 9}, []int{8, 8, 8}
	for _, ids := range [][]int{unused, used} {
		d := theirs.Space("ann").Reserve(ids, Meta{Kind: Turn, Pending: -1})
		copy(d.State(), after(ids))
		d.Commit()
		sync(theirs)
	}
	for i := range 60 {
		hit := theirs.Space("ann").Find(used, 3)
		if hit.Tokens != 3 || !slices.Equal(hit.State, after(used)) {
			t.Fatalf("round %d: it was taken away, found %+v", i, hit)
		}
		hit.Release()
		sync(theirs)
		put(mine.Space("ann"), []int{i, i, i, i, i, i}, Turn)
		sync(mine)
		if name := mine.folder.Name(mine.Space("ann").key, used); !slices.Contains(names(t, dir), name) {
			t.Fatalf("round %d: its file was taken away", i)
		}
	}
	if hit := mine.Space("ann").Find(unused, 3); hit.Tokens != 0 {
		t.Error("what nobody uses is there yet")
	}
	sync(mine)
	var bytes int64
	for _, name := range names(t, dir) {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	if bytes > o.Disk+250 { // one more may be in use
		t.Errorf("%d bytes of files, want at most %d", bytes, o.Disk)
	}
}
