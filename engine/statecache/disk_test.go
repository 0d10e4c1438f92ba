package statecache

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache/folder"
)

// keptIn writes checkpoints of the given texts into a folder and returns the files' names.
func keptIn(t *testing.T, o Options, texts ...[]int) []string {
	t.Helper()
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, ids := range texts {
		d := c.Space("ann").Reserve(ids, Meta{Kind: Turn, Pending: 7, Sampler: []byte("sampler")})
		copy(d.State(), after(ids))
		d.Commit()
	}
	if err := c.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	return names(t, o.Dir)
}

func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		out = append(out, f.Name())
	}
	return out
}

func onDiskOptions(t *testing.T) Options {
	return Options{Size: fakeSize, Host: 1 << 20, Disk: 1 << 20, Dir: filepath.Join(t.TempDir(), "new", "folder"), Identity: "fake"}
}

// What one process kept another finds, with all that belongs to it.
func TestFiles(t *testing.T) {
	o, ids := onDiskOptions(t), []int{5, 1, 4, 1 << 20, 0}
	if n := len(keptIn(t, o, ids, ids[:2])); n != 2 {
		t.Fatalf("%d files, want 2", n)
	}
	for _, host := range []int64{0, 1 << 20} { // without memory for it, each hit reads the file
		o.Host = host
		c := newCache(t, o)
		for range 2 {
			hit := c.Space("ann").Find(append(slices.Clone(ids), 9), 99)
			if hit.Tokens != len(ids) || hit.Pending != 7 || string(hit.Sampler) != "sampler" || hit.Kind != Turn || !slices.Equal(hit.State, after(ids)) {
				t.Errorf("found %+v", hit)
			}
			hit.Release()
		}
		if s := c.Stats(); s.Checkpoints != 2 || s.Hits != 2 || s.Tokens != 10 || (s.Host > 0) != (host > 0) {
			t.Errorf("%+v", s)
		}
		if hit := c.Space("bob").Find(ids, 99); hit.Tokens != 0 {
			t.Errorf("bob finds %d", hit.Tokens)
		}
	}
	info, err := os.Stat(o.Dir)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the folder is open to others: %v (%v)", info.Mode(), err)
	}
}

// Whatever single byte of a file is another, and wherever it ends, it is not used, and goes; files of other names, of
// other models and of formats to come stay.
func TestBrokenFiles(t *testing.T) {
	o, ids := onDiskOptions(t), []int{5, 1, 4}
	name := keptIn(t, o, ids)[0]
	path := filepath.Join(o.Dir, name)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	another := o
	another.Identity = "another"
	keptIn(t, another, ids)
	bigger := o
	bigger.Size++
	c := newCache(t, bigger) // other names too
	if c.Stats().Checkpoints != 0 {
		t.Error("a state of another size was found")
	}
	for _, alien := range []string{"README", "x" + name, name + "x", strings.ToUpper(name), "." + name + ".x.part"} {
		if err := os.WriteFile(filepath.Join(o.Dir, alien), good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	others := slices.DeleteFunc(names(t, o.Dir), func(n string) bool { return n == name })
	check := func(what string, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		hit := c.Space("ann").Find(ids, 99)
		if hit.Tokens != 0 || hit.State != nil {
			t.Errorf("%s: found %+v", what, hit)
		}
		hit.Release()
		if err := c.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if left := names(t, o.Dir); !slices.Equal(left, others) || c.Stats().Broken != 1 {
			t.Errorf("%s: files %v, want %v; %d broken", what, left, others, c.Stats().Broken)
		}
	}
	for i := range good {
		data := bytes.Clone(good)
		data[i] ^= 1 << (i % 8)
		check(fmt.Sprintf("byte %d", i), data)
	}
	for n := 0; n < len(good); n += 5 {
		check(fmt.Sprintf("cut at %d", n), good[:n])
	}
	check("longer", append(bytes.Clone(good), 0))
	other := o
	other.Dir = t.TempDir()
	data, err := os.ReadFile(filepath.Join(other.Dir, keptIn(t, other, []int{5, 1, 5})[0]))
	if err != nil {
		t.Fatal(err)
	}
	check("of another text", data)
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+"/in", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if c := newCache(t, o); c.Stats().Checkpoints != 0 {
		t.Error("a folder was taken for a checkpoint")
	}
}

// A file that breaks while the cache is open is a miss, and the shorter checkpoint is found.
func TestFileBreaksLater(t *testing.T) {
	o, ids := onDiskOptions(t), []int{5, 1, 4}
	keptIn(t, o, ids, ids[:2])
	c := newCache(t, o)
	long := c.folder.Name(c.Space("ann").key, ids)
	if err := os.Truncate(filepath.Join(o.Dir, long), 100); err != nil {
		t.Fatal(err)
	}
	hit := c.Space("ann").Find(ids, 99)
	if hit.Tokens != 2 || !slices.Equal(hit.State, after(ids[:2])) || c.Stats().Broken != 1 || c.Stats().Checkpoints != 1 {
		t.Errorf("found %+v, %+v", hit, c.Stats())
	}
	hit.Release()
	if err := c.Sync(context.Background()); err != nil || slices.Contains(names(t, o.Dir), long) {
		t.Errorf("the broken file is there yet (%v)", err)
	}
}

// What another process removed is a miss and no broken file; what lies in the place of a file and is none is broken.
func TestGoneAndIrregular(t *testing.T) {
	o, gone, irregular := onDiskOptions(t), []int{5, 1, 4}, []int{7, 7}
	keptIn(t, o, gone, irregular)
	c := newCache(t, o)
	s := c.Space("ann")
	for _, ids := range [][]int{gone, irregular} {
		if err := os.Remove(filepath.Join(o.Dir, c.folder.Name(s.key, ids))); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(o.Dir, c.folder.Name(s.key, irregular)), 0o700); err != nil {
		t.Fatal(err)
	}
	for i, ids := range [][]int{gone, irregular} {
		hit := s.Find(ids, 99)
		hit.Release()
		if st := c.Stats(); hit.Tokens != 0 || st.Broken != i || st.Checkpoints != 1-i {
			t.Errorf("%v: found %+v, %+v", ids, hit, st)
		}
	}
	if err := c.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	if left := names(t, o.Dir); len(left) != 0 {
		t.Errorf("files %v, want none", left)
	}
}

// Files used last stay longest across a restart with a smaller budget; what was left unfinished goes.
func TestFilesByUse(t *testing.T) {
	o := onDiskOptions(t)
	texts := [][]int{{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {6, 6}, {7, 7}}
	keptIn(t, o, texts...)
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	c.Space("ann").Find(texts[0], 99).Release()
	if err := c.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	unfinished := filepath.Join(o.Dir, fmt.Sprintf(".%s.1-1.part", c.folder.Name(spaceKey{}, []int{1})))
	if err := os.WriteFile(unfinished, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	o.Disk = 3*c.folder.Bytes(2, len("sampler")) + 1
	c = newCache(t, o)
	if err := c.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{2, 0, 0, 0, 0, 2, 2} {
		if hit := c.Space("ann").Find(texts[i], 99); hit.Tokens != want {
			t.Errorf("text %d: %d ids found, want %d", i, hit.Tokens, want)
		}
	}
	if left := names(t, o.Dir); len(left) != 3 {
		t.Errorf("files %v, want 3", left)
	}
}

// Two caches on one folder, as two processes have, find what the other wrote, never fail, and leave no more than the
// budget.
func TestTwoOnOneFolder(t *testing.T) {
	o := onDiskOptions(t)
	o.Host = 2000
	o.Disk = 30 * 250
	var both sync.WaitGroup
	for k := range 2 {
		both.Add(1)
		go func() {
			defer both.Done()
			c, err := Open(o)
			if err != nil {
				t.Error(err)
				return
			}
			r := rand.New(rand.NewPCG(uint64(k), 1))
			s := c.Space("ann")
			for range 300 {
				ids := make([]int, 1+r.IntN(12))
				for i := range ids {
					ids[i] = r.IntN(2)
				}
				hit := s.Find(ids, len(ids))
				if hit.Tokens > 0 && !slices.Equal(hit.State, after(ids[:hit.Tokens])) {
					t.Errorf("a wrong state of %v", ids[:hit.Tokens])
				}
				hit.Release()
				if d := s.Reserve(ids, Meta{Kind: Turn, Pending: -1}); d != nil {
					copy(d.State(), after(ids))
					d.Commit()
				}
			}
			if err := c.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}()
	}
	both.Wait()
	c := newCache(t, o)
	if err := c.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	s := c.Stats()
	var sum int64
	for _, name := range names(t, o.Dir) {
		info, err := os.Stat(filepath.Join(o.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	if sum != s.Disk || sum > o.Disk || s.Broken != 0 || s.Checkpoints < 20 {
		t.Errorf("%d bytes of files, want %d: %+v", sum, s.Disk, s)
	}
}

// What another process wrote to the folder, or took from it, is noticed by the next write: it is found, or no more
// counted.
func TestFilesOfOthers(t *testing.T) {
	o := onDiskOptions(t)
	o.Host = 150 // one checkpoint
	c := newCache(t, o)
	s := c.Space("ann")
	sync := func() {
		if err := c.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	put(s, []int{1, 1}, Turn)
	sync()
	gone := names(t, o.Dir)[0]
	put(s, []int{2, 2, 2}, Turn)
	sync()
	if err := os.Remove(filepath.Join(o.Dir, gone)); err != nil {
		t.Fatal(err)
	}
	keptIn(t, o, []int{3, 3, 3, 3})
	put(s, []int{4}, Turn)
	sync()
	var sum int64
	for _, name := range names(t, o.Dir) {
		info, err := os.Stat(filepath.Join(o.Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	if st := c.Stats(); st.Disk != sum || st.Checkpoints != 3 || st.Broken != 0 {
		t.Errorf("%d bytes of files, %+v", sum, st)
	}
	for n, ids := range map[int][]int{0: {1, 1}, 3: {2, 2, 2}, 4: {3, 3, 3, 3}, 1: {4}} {
		hit := s.Find(ids, 9)
		if hit.Tokens != n || n == 4 && !slices.Equal(hit.State, after(ids)) {
			t.Errorf("%v: found %+v", ids, hit)
		}
		hit.Release()
	}
}

// What cannot be written is an error of Sync and Close that names the file; memory serves on.
func TestDiskFails(t *testing.T) {
	o := onDiskOptions(t)
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(o.Dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.Dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	put(c.Space(""), []int{1, 2}, Turn)
	if err := c.Sync(context.Background()); err == nil || !strings.Contains(err.Error(), o.Dir) {
		t.Errorf("want an error that names %s, got %v", o.Dir, err)
	}
	if hit := c.Space("").Find([]int{1, 2}, 2); hit.Tokens != 2 || c.Stats().Disk != 0 {
		t.Errorf("found %d, %+v", hit.Tokens, c.Stats())
	}
	if err := c.Close(context.Background()); err == nil {
		t.Error("want the error again")
	}
	if _, err := Open(o); err == nil {
		t.Error("want an error of a file in place of the folder")
	}
}

func TestOptions(t *testing.T) {
	for want, o := range map[string]Options{
		"Size: want at least 1":      {},
		"Size: want at most":         {Size: folder.MaxState + 1},
		"budgets of at least 0":      {Size: 1, Host: -1},
		"Dir: want a folder":         {Size: 1, Disk: 1},
		"want budgets of at least 0": {Size: 1, Disk: -1},
	} {
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}
