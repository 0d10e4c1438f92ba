package bulk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// Options say what a job is.
type Options struct {
	Input          string // the file of requests
	Output, Errors string // the files of results and of failures, which Finish writes
	Dir            string // the folder of the job's own files, which is made and is nobody else's

	URLs      []string // that items may have
	User      string   // whose requests they are
	MostLine  int64    // bytes of a line of the input
	MostItems int64    // 0 for any number

	Settings string // what results depend on besides the input, for people; all runs of a job have the same
	Again    bool   // reports whether items that failed are done again

	// Kept, if not nil, is told during Run how many results are on the disk, where no end of the process and no loss of
	// power takes them away.
	Kept func(Counts)
}

// Names of a job's files in its folder.
const (
	headName    = "job.json"
	lockName    = "lock"
	idsName     = "ids"
	journalName = "journal"
	orderName   = "order"
	mostHead    = 1 << 20 // bytes
)

// Errors of Open, to be tested with errors.Is.
var (
	ErrHeld     = errors.New("another process is at work on it")
	ErrChanged  = errors.New("the input has changed since the job began")
	ErrSettings = errors.New("the job was begun with other settings")
	ErrDamaged  = errors.New("not a job's file, or a broken one")
)

// Counts say how far a job is.
type Counts struct {
	Items     int64 `json:"items"`
	Completed int64 `json:"completed"` // items with the status 200
	Failed    int64 `json:"failed"`
}

// Left returns how many items have no result.
func (c Counts) Left() int64 { return c.Items - c.Completed - c.Failed }

// head is what the folder tells of the job.
type head struct {
	Format   int    `json:"format"` // 1
	Settings string `json:"settings"`
	Input    Input  `json:"input"`
	Done     bool   `json:"done"` // reports whether the files of results were written
	Counts   Counts `json:"counts"`
}

// Job is a file of requests that is worked through. Its methods are for one goroutine, but for Counts.
type Job struct {
	o       Options
	rules   rules
	lock    *flock.Flock
	head    head
	journal *journal // nil for a job that is done

	mu     sync.Mutex
	has    bits // items that have a result
	good   bits // of these, those that succeeded
	counts Counts
}

// Open begins a job, or goes on with the one in the folder: it checks the input and reads the journal. The error is an
// *InputError for an input of which no item can be done, wraps one of ErrHeld, ErrChanged, ErrSettings and ErrDamaged, or
// is of the files.
func Open(ctx context.Context, o Options) (*Job, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	j := &Job{o: o, rules: rules{o.URLs, o.User}}
	j.lock = flock.New(j.path(lockName))
	if held, err := j.lock.TryLock(); err != nil || !held {
		if err == nil {
			err = ErrHeld
		}
		return nil, fmt.Errorf("%s: %w", o.Dir, err)
	}
	err := j.begin(ctx)
	if err == nil && (!j.head.Done || o.Again && j.head.Counts.Failed > 0) {
		err = j.recall()
	}
	if err != nil {
		err = errors.Join(err, j.lock.Unlock())
		if !Begun(o.Dir) { // no job came of it
			_ = Forget(o.Dir) // or the next time
		}
		return nil, err
	}
	return j, nil
}

// Begun reports whether a folder has a job that Open goes on with.
func Begun(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, headName))
	return err == nil
}

func (j *Job) path(name string) string { return filepath.Join(j.o.Dir, name) }

// begin reads the head, or makes one.
func (j *Job) begin(ctx context.Context) error {
	data, err := files.ReadRegular(j.path(headName), mostHead)
	if errors.Is(err, fs.ErrNotExist) {
		if j.head.Input, err = j.scan(ctx); err != nil {
			return err
		}
		j.head.Format, j.head.Settings = 1, j.o.Settings
		files.SyncFolder(filepath.Dir(j.o.Dir))
		return j.keep()
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &j.head); err != nil || j.head.Format != 1 {
		return fmt.Errorf("%s: %w", j.path(headName), ErrDamaged)
	}
	if j.head.Settings != j.o.Settings {
		return fmt.Errorf("%s: %w: want %s, got %s", j.o.Dir, ErrSettings, j.head.Settings, j.o.Settings)
	}
	sum, err := sumOf(ctx, j.o.Input)
	if err == nil && sum != j.head.Input.SHA256 {
		err = fmt.Errorf("%s: %w: want the SHA-256 %.12s…, got %.12s…", j.o.Input, ErrChanged, j.head.Input.SHA256, sum)
	}
	return err
}

// keep writes the head.
func (j *Job) keep() error {
	data, err := json.Marshal(j.head)
	if err != nil {
		return err
	}
	return files.Keep(j.path(headName), data, true)
}

// sumOf returns the SHA-256 of a file.
func sumOf(ctx context.Context, path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // read only
	h := sha256.New()
	for {
		n, err := io.CopyN(h, f, 16<<20)
		switch {
		case errors.Is(err, io.EOF):
			return hex.EncodeToString(h.Sum(nil)), nil
		case err != nil || ctx.Err() != nil:
			return "", errors.Join(err, ctx.Err())
		case n == 0:
			return "", io.ErrNoProgress
		}
	}
}

// recall reads which items have results.
func (j *Job) recall() (err error) {
	items := j.head.Input.Items
	j.has, j.good, j.counts = make(bits, items/64+1), make(bits, items/64+1), Counts{Items: items}
	if j.head.Done { // and what failed is done again
		j.head.Done = false
		if err := j.keep(); err != nil {
			return err
		}
	}
	j.journal, err = openJournal(j.path(journalName), func(index int64, kind byte) {
		if index < items && (kind == succeeded || !j.o.Again) {
			j.note(index, kind)
		}
	})
	return err
}

// bits has a bit for each item.
type bits []uint64

func (b bits) has(i int64) bool { return b[i/64]&(1<<(i%64)) != 0 }
func (b bits) set(i int64)      { b[i/64] |= 1 << (i % 64) }

// note counts the result of an item. Of several the last one counts, and nothing is done again that has succeeded.
func (j *Job) note(index int64, kind byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case kind == failed && j.has.has(index):
	case kind == failed:
		j.counts.Failed++
	case j.good.has(index):
	default:
		if j.good.set(index); j.has.has(index) {
			j.counts.Failed--
		}
		j.counts.Completed++
	}
	j.has.set(index)
}

func (j *Job) hasResult(index int64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.has.has(index)
}

// Counts says how far the job is. It may be called by any goroutine.
func (j *Job) Counts() Counts {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.head.Done {
		return j.head.Counts
	}
	return j.counts
}

// Input tells what the input has.
func (j *Job) Input() Input { return j.head.Input }

// Done reports whether the files of results are there.
func (j *Job) Done() bool { return j.head.Done }

// Close gives the job back for another process to go on with. What was done stays done.
func (j *Job) Close() error {
	var err error
	if j.journal != nil {
		err = j.journal.close()
	}
	return errors.Join(err, j.lock.Unlock())
}

// Forget removes the job that a folder has, but for its input and its results. The error wraps ErrHeld, or is of the files.
func Forget(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	lock := flock.New(filepath.Join(dir, lockName))
	if held, err := lock.TryLock(); err != nil || !held {
		if err == nil {
			err = ErrHeld
		}
		return fmt.Errorf("%s: %w", dir, err)
	}
	var err error
	for _, name := range []string{headName, idsName, journalName, orderName} { // the head first: without it nothing counts
		if gone := os.Remove(filepath.Join(dir, name)); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	err = errors.Join(err, lock.Unlock())
	_ = os.Remove(filepath.Join(dir, lockName)) // on systems that let go of names that are held
	_ = os.Remove(dir)                          // unless somebody put more into it
	return err
}
