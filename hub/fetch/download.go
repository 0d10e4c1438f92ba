package fetch

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// download fetches the missing segments of a part file.
type download struct {
	o    *Options
	file *File
	p    *part
	dir  string // of the part file

	got     atomic.Int64 // bytes that are there, those of unfinished segments included
	network atomic.Int64 // bytes that came

	mu     sync.Mutex // guards what follows
	taken  []bool     // segments that somebody fetches
	ranged bool       // the server has sent a range before
	whole  bool       // it is asked for the whole file, without ranges
}

// span is a range of segments, [first, last).
type span struct{ first, last int }

// all fetches what is missing, on several connections.
func (d *download) all(ctx context.Context) error {
	if err := d.space(); err != nil {
		return err
	}
	d.taken = make([]bool, len(d.p.done))
	defer d.reporting()()
	group, ctx := errgroup.WithContext(ctx)
	for range d.o.Connections {
		group.Go(func() error { return d.work(ctx) })
	}
	return group.Wait()
}

// work fetches spans until none is left. After a failure it asks the next source.
func (d *download) work(ctx context.Context) error {
	r := retry{o: d.o}
	seen := d.finished()
	for {
		s, ok := d.take()
		if !ok {
			return nil
		}
		src := d.file.Sources[r.tries%len(d.file.Sources)]
		err := d.request(ctx, src, s)
		d.release(s)
		if now := d.finished(); now != seen {
			seen, r.tries, r.mismatches = now, 0, 0
		}
		switch {
		case err == nil, errors.Is(err, errNoRanges):
			continue
		case src != d.file.Sources[0]: // whatever a mirror says, the others may have the file
			err = fmt.Errorf("%s: %s", Plain(src.URL), err) //nolint:errorlint // so that it ends nothing
		}
		if err := r.again(ctx, Plain(d.file.Sources[0].URL), err); err != nil {
			return err
		}
		if err := d.space(); err != nil {
			return err
		}
	}
}

func (d *download) finished() int {
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	return len(d.p.done) - d.p.left
}

// take returns the next segments that nobody fetches, a fair share of them.
func (d *download) take() (s span, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.p.mu.Lock()
	defer d.p.mu.Unlock()
	if d.p.left == 0 {
		return s, false
	}
	n := len(d.taken)
	if d.whole {
		for _, t := range d.taken {
			if t {
				return s, false // one connection is enough
			}
		}
		s = span{0, n}
	} else {
		free := func(i int) bool { return i < n && !d.taken[i] && !d.p.done[i] }
		for s.first < n && !free(s.first) {
			s.first++
		}
		most := min(d.o.Span, (d.p.left+d.o.Connections-1)/d.o.Connections)
		for s.last = s.first; free(s.last) && s.last-s.first < most; s.last++ {
		}
	}
	for i := s.first; i < s.last; i++ {
		d.taken[i] = true
	}
	return s, s.first < s.last
}

// release gives segments back.
func (d *download) release(s span) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := s.first; i < s.last; i++ {
		d.taken[i] = false
	}
}

// request asks a source for a span, and writes what comes.
func (d *download) request(ctx context.Context, src Source, s span) error {
	if err := d.space(); err != nil {
		return err
	}
	begin, _ := d.p.bounds(s.first)
	_, end := d.p.bounds(s.last - 1)
	h := http.Header{}
	d.mu.Lock()
	whole := d.whole
	d.mu.Unlock()
	if !whole {
		h.Set("Range", fmt.Sprintf("bytes=%d-%d", begin, end-1))
	}
	a, err := d.o.do(ctx, http.MethodGet, src, h, false)
	if err != nil {
		return d.shorter(err)
	}
	defer func() { _ = a.Body.Close() }() // read only
	if err := d.check(a, begin, end, whole); err != nil {
		return err
	}
	if err := d.copy(a.Body, s); err != nil {
		return err
	}
	if n, err := io.ReadFull(a.Body, make([]byte, 1)); n > 0 {
		return &mismatchError{"size", d.file.Size, "more"}
	} else if !errors.Is(err, io.EOF) {
		return err // the answer may be complete, but was not ended as one is
	}
	return nil
}

// shorter makes the refusal of a range an answer about another file, if the refusal tells another size.
func (d *download) shorter(err error) error {
	var status *statusError
	var size int64
	if !errors.As(err, &status) || status.code != http.StatusRequestedRangeNotSatisfiable {
		return err
	}
	if n, _ := fmt.Sscanf(status.ranges, "bytes */%d", &size); n == 1 && size != d.file.Size {
		return &mismatchError{"size", d.file.Size, size}
	}
	return err
}

// check compares what an answer tells of itself with what was asked for: bytes [begin, end) of the file.
func (d *download) check(a *answer, begin, end int64, whole bool) error {
	if err := d.checkTag(a); err != nil {
		return err
	}
	if a.StatusCode == http.StatusOK {
		if a.ContentLength >= 0 && a.ContentLength != d.file.Size {
			return &mismatchError{"size", d.file.Size, a.ContentLength}
		}
		if whole {
			return nil
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.ranged {
			return errors.New("want a range, got the whole file")
		}
		d.whole = true
		return errNoRanges
	}
	if a.StatusCode != http.StatusPartialContent || whole {
		return &statusError{code: a.StatusCode}
	}
	var first, last, all int64
	text := a.Header.Get("Content-Range")
	n, _ := fmt.Sscanf(text, "bytes %d-%d/%d", &first, &last, &all)
	if n == 3 && all != d.file.Size {
		return &mismatchError{"size", d.file.Size, all}
	}
	if n < 2 || first != begin || last != end-1 || a.ContentLength >= 0 && a.ContentLength != end-begin {
		return fmt.Errorf("want bytes %d-%d, got %q in %d bytes", begin, end-1, text, a.ContentLength)
	}
	d.mu.Lock()
	d.ranged = true
	d.mu.Unlock()
	return nil
}

// checkTag compares an answer's identity of the file. Servers that others redirect to have identities of their own.
func (d *download) checkTag(a *answer) error {
	tag := ""
	switch {
	case a.linked != nil:
		tag = trimETag(a.linked.Get(linkedETag))
	case !a.moved:
		tag = trimETag(a.Header.Get("ETag"))
	}
	if tag != "" && d.file.ETag != "" && tag != d.file.ETag {
		return &mismatchError{"identity", d.file.ETag, tag}
	}
	return nil
}

// copy writes a span from an answer's body. Segments that are done are read and passed over.
func (d *download) copy(body io.Reader, s span) error {
	buf := make([]byte, 128<<10)
	for i := s.first; i < s.last; i++ {
		begin, end := d.p.bounds(i)
		if d.p.isDone(i) {
			if _, err := io.CopyN(io.Discard, body, end-begin); err != nil {
				return early(err)
			}
			continue
		}
		sum := crc32.New(castagnoli)
		for at := begin; at < end; {
			n, err := body.Read(buf[:min(int64(len(buf)), end-at)])
			if n > 0 {
				if _, err := d.p.f.WriteAt(buf[:n], at); err != nil {
					d.got.Add(begin - at)
					return local(err, d.p.path)
				}
			}
			_, _ = sum.Write(buf[:n]) // to memory
			at += int64(n)
			d.got.Add(int64(n))
			d.network.Add(int64(n))
			if err != nil && at < end {
				d.got.Add(begin - at)
				return early(err)
			}
		}
		if err := d.p.finish(i, sum.Sum32()); err != nil {
			return local(err, d.p.path)
		}
	}
	return nil
}

// early says that a body ended where more was to come.
func early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
