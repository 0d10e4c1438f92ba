package fetch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
)

// File is what to fetch.
type File struct {
	Name    string   // for people
	Sources []Source // that have the same file; the first is asked first
	Size    int64    // bytes
	Sum     Sum
	ETag    string // that the first source tells, "" if it tells none
}

// Result says what it took.
type Result struct {
	Bytes   int64 // that came over the network
	Resumed int64 // bytes that an earlier process had left
	Shared  bool  // reports whether the target was there when the lock was free
}

// Fetch brings a file to target, unless it is there. part is the unfinished file's path without the endings, in a folder
// of the same disk. lock is the path of the lock file. The error is an *Error, or that of ctx.
func Fetch(ctx context.Context, o Options, f File, target, part, lock string) (*Result, error) {
	u := o.usual()
	unlock, err := hold(ctx, u, f.Name, lock)
	if err != nil {
		return nil, local(err, lock)
	}
	defer unlock()
	return fetchHeld(ctx, u, f, target, part)
}

// Held is Fetch for who holds the lock already, by Lock.
func Held(ctx context.Context, o Options, f File, target, part string) (*Result, error) {
	return fetchHeld(ctx, o.usual(), f, target, part)
}

func fetchHeld(ctx context.Context, u *Options, f File, target, part string) (*Result, error) {
	if _, err := os.Stat(target); err == nil {
		return &Result{Shared: true}, nil
	}
	if len(f.Sources) == 0 {
		return nil, failed(NotFound, f.Name, "want an address to fetch it from, got none")
	}
	if f.Size < 0 {
		return nil, failed(NotFound, Plain(f.Sources[0].URL), "want a server that tells the file's size, got one that does not")
	}
	r, err := u.fetch(ctx, &f, target, part)
	return r, local(err, target)
}

// Lock waits for a lock file that Fetch takes too.
func Lock(ctx context.Context, o Options, what, path string) (unlock func(), err error) {
	unlock, err = hold(ctx, o.usual(), what, path)
	return unlock, local(err, path)
}

// TryLock takes a lock file that Fetch takes too, if nobody has it.
func TryLock(path string) (unlock func(), ok bool) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, false
	}
	l := flock.New(path)
	if ok, err := l.TryLock(); !ok || err != nil {
		return nil, false
	}
	return func() { _ = l.Close() }, true
}

// LocalError returns an error of files as an *Error. The path is for an error that names none.
func LocalError(err error, path string) error { return local(err, path) }

// hold takes a lock file, which may be another process's for a while.
func hold(ctx context.Context, o *Options, what, path string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	l := flock.New(path)
	ok, err := l.TryLock()
	if !ok && err == nil {
		o.Notice(what + ": somebody else fetches it: waiting for that")
		_, err = l.TryLockContext(ctx, o.Poll)
	}
	if err != nil {
		return nil, err
	}
	return func() { _ = l.Close() }, nil // the file stays: whoever waits for it has opened it
}

// local makes an error of files an *Error.
func local(err error, path string) error {
	var told *Error
	var at *fs.PathError
	var link *os.LinkError
	switch {
	case err == nil || errors.As(err, &told) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	case isFull(err):
		return &Error{Kind: Space, Where: path, Err: errors.New("the disk is full; what is there is kept, the next pull goes on from it")}
	case errors.As(err, &at):
		return &Error{Kind: Local, Where: at.Path, Err: fmt.Errorf("%s: %w", at.Op, at.Err)}
	case errors.As(err, &link):
		return &Error{Kind: Local, Where: link.New, Err: fmt.Errorf("%s: %w", link.Op, link.Err)}
	}
	return &Error{Kind: Local, Where: path, Err: err}
}

// fetch is Fetch with the lock.
func (o *Options) fetch(ctx context.Context, f *File, target, part string) (*Result, error) {
	h := header{journalVersion, f.Name, f.Size, f.Sum.String(), f.ETag, o.Segment}
	if h.segments() > mostSegments {
		return nil, failed(Damaged, Plain(f.Sources[0].URL), "want a file of at most %d bytes, got one of %d",
			mostSegments*o.Segment, f.Size)
	}
	d := &download{o: o, file: f, dir: filepath.Dir(part)}
	if err := d.before(part); err != nil {
		return nil, err
	}
	p, err := openPart(ctx, part, h, o)
	if err != nil {
		return nil, err
	}
	defer p.close() // a second time if all went well
	d.p = p
	d.got.Store(p.doneBytes())
	r := &Result{Resumed: p.doneBytes()}
	for try := 0; ; try++ {
		err := d.all(ctx)
		r.Bytes = d.network.Load()
		if err != nil {
			if Is(err, Changed) {
				p.drop() // its segments are of no use
			}
			return r, err
		}
		same, got, err := f.Sum.matches(ctx, p.f, f.Size, func(done int64) { o.Progress(Checking, done, f.Size) })
		switch {
		case err != nil:
			return r, err
		case same:
			return r, p.rename(target)
		}
		if try == 1 {
			p.drop()
			return r, failed(Damaged, Plain(f.Sources[0].URL), "want %s, got %s, twice", f.Sum, got)
		}
		o.Notice(fmt.Sprintf("%s: the bytes that came are not those of the file: fetching it again", f.Name))
		if err := p.begin(); err != nil {
			return r, err
		}
		d.whole = true // whoever lied about ranges cannot do so then
		d.got.Store(0)
	}
}

// before returns an error if the disk has no place for what is missing, whatever of the part file counts.
func (d *download) before(part string) error {
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return err
	}
	if info, err := os.Stat(part + PartEnding); err == nil {
		d.got.Store(info.Size())
	}
	return d.space()
}

// space returns an error if the disk has no place for what is missing.
func (d *download) space() error {
	free, ok := d.o.Free(d.dir)
	need := uint64(max(0, d.file.Size-d.got.Load()))
	if !ok || free >= need+uint64(d.o.Reserve) {
		return nil
	}
	return failed(Space, d.dir, "want %s more for %s, %s of which stay free, got %s of free disk; what is there is kept",
		words.Size(need+uint64(d.o.Reserve)), d.file.Name, words.Size(uint64(d.o.Reserve)), words.Size(free))
}

// reporting calls Progress until stop is called, which calls it a last time.
func (d *download) reporting() (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	report := func() { d.o.Progress(Fetching, d.got.Load(), d.file.Size) }
	go func() {
		defer close(ended)
		ticks := time.NewTicker(d.o.ProgressEvery)
		defer ticks.Stop()
		for {
			select {
			case <-end:
				report()
				return
			case <-ticks.C:
				report()
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}
