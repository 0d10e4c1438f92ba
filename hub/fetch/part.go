package fetch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// Endings of the names of unfinished files. A part file and its journal lie beside each other.
const (
	PartEnding    = ".rwkv-gpu-part"
	JournalEnding = ".rwkv-gpu-journal"
)

// file is what a part file has to do.
type file interface {
	io.ReaderAt
	io.WriterAt
	Truncate(int64) error
	Sync() error
	Close() error
}

// header is the first line of a journal: which file the segments are of.
type header struct {
	Version int    `json:"version"` // of this format
	Name    string `json:"name"`    // of the file, for people and for who cleans up
	Size    int64  `json:"size"`
	Sum     string `json:"sum,omitempty"`
	ETag    string `json:"etag,omitempty"`
	Segment int64  `json:"segment"`
}

const journalVersion = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// part is an unfinished file with its journal.
type part struct {
	header
	path    string // without the endings
	f       file
	mu      sync.Mutex // guards what follows
	journal *os.File
	done    []bool // segment by segment
	left    int    // segments that are not done
}

// segments returns how many segments the file has.
func (h *header) segments() int64 {
	n := h.Size / h.Segment
	if h.Size%h.Segment > 0 {
		n++
	}
	return n
}

// mostSegments bounds what is kept in memory of a file: 16 TiB have so many segments of the usual size.
const mostSegments = 4 << 20

// bounds returns where a segment begins and ends in the file.
func (h *header) bounds(i int) (begin, end int64) {
	return int64(i) * h.Segment, min(int64(i+1)*h.Segment, h.Size)
}

// openPart opens the unfinished file of a path, or begins one. Segments of an earlier process count if they are of the
// same file and their bytes have their checksums.
func openPart(ctx context.Context, path string, h header, o *Options) (*part, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	p := &part{header: h, path: path, done: make([]bool, h.segments()), left: int(h.segments())}
	f, err := os.OpenFile(path+PartEnding, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	p.f = f
	if o.wrap != nil {
		p.f = o.wrap(f)
	}
	if err := p.resume(ctx, o); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// resume reads the journal of an earlier process, and makes it a journal to go on with.
func (p *part) resume(ctx context.Context, o *Options) (err error) {
	if p.journal, err = os.OpenFile(p.path+JournalEnding, os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(p.journal, int64(len(p.done)+1)*maxLine))
	if err != nil {
		return err
	}
	first, lines, ok := bytes.Cut(text, []byte("\n"))
	var was header
	if !ok || json.Unmarshal(first, &was) != nil || was != p.header {
		return p.begin()
	}
	used := int64(len(first)) + 1
	for line, rest, ok := bytes.Cut(lines, []byte("\n")); ok; line, rest, ok = bytes.Cut(rest, []byte("\n")) {
		var i int
		var sum uint32
		if n, err := fmt.Sscanf(string(line), lineFormat, &i, &sum); n != 2 || err != nil || i < 0 || i >= len(p.done) {
			break // what follows a line that makes no sense makes none either
		}
		used += int64(len(line)) + 1
		if p.done[i] {
			continue
		}
		if p.done[i], err = p.has(i, sum); err != nil {
			return err
		}
		if p.done[i] {
			p.left--
		}
		o.Progress(Resuming, p.doneBytes(), p.Size)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	if err := p.journal.Truncate(used); err != nil { // a process was killed while it wrote the last line
		return err
	}
	_, err = p.journal.Seek(used, io.SeekStart)
	return err
}

const (
	lineFormat = "%d %08x"
	maxLine    = 1 << 10 // more bytes than any line of a journal has on average
)

// begin makes an empty part file with a journal.
func (p *part) begin() error {
	line, err := json.Marshal(p.header)
	if err != nil {
		return err
	}
	if err := p.journal.Truncate(0); err != nil { // first, so that it never tells of another file's segments
		return err
	}
	if err := p.f.Truncate(0); err != nil {
		return err
	}
	if _, err := p.journal.WriteAt(append(line, '\n'), 0); err != nil {
		return err
	}
	_, err = p.journal.Seek(int64(len(line))+1, io.SeekStart)
	clear(p.done)
	p.left = len(p.done)
	return err
}

// has reports whether the bytes of a segment have a checksum.
func (p *part) has(i int, sum uint32) (bool, error) {
	begin, end := p.bounds(i)
	h := crc32.New(castagnoli)
	n, err := io.Copy(h, io.NewSectionReader(p.f, begin, end-begin))
	return err == nil && n == end-begin && h.Sum32() == sum, err
}

// finish says in the journal that a segment's bytes are written.
func (p *part) finish(i int, sum uint32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done[i] {
		return nil
	}
	if _, err := fmt.Fprintf(p.journal, lineFormat+"\n", i, sum); err != nil {
		return err
	}
	p.done[i] = true
	p.left--
	return nil
}

// isDone reports whether a segment's bytes are written.
func (p *part) isDone(i int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done[i]
}

// doneBytes returns how many bytes the finished segments have.
func (p *part) doneBytes() (n int64) {
	for i, done := range p.done {
		if done {
			begin, end := p.bounds(i)
			n += end - begin
		}
	}
	return n
}

func (p *part) close() {
	_ = p.f.Close() // what could be wrong with it shows when it is synced
	if p.journal != nil {
		_ = p.journal.Close()
	}
}

// drop removes the unfinished file.
func (p *part) drop() {
	p.close()
	Discard(p.path)
}

// rename gives the complete and checked file the target's name, and removes the journal.
func (p *part) rename(target string) error {
	err := p.f.Sync()
	p.close() // an open file cannot be renamed on Windows
	if err != nil {
		return err
	}
	if err := os.Rename(p.path+PartEnding, target); err != nil {
		return err
	}
	if dir, err := os.Open(filepath.Dir(target)); err == nil {
		_ = dir.Sync() // not every system can; the file itself is safe
		_ = dir.Close()
	}
	Discard(p.path)
	return nil
}

// Discard removes what is unfinished of a path. The caller holds the lock of its target.
func Discard(path string) {
	for _, ending := range []string{PartEnding, JournalEnding} {
		_ = os.Remove(path + ending) // it may not be there
	}
}

// Unfinished returns the name that an unfinished file's journal tells, and false if there is none.
func Unfinished(path string) (name string, ok bool) {
	f, err := os.Open(path + JournalEnding)
	if err != nil {
		return "", false
	}
	defer func() { _ = f.Close() }() // read only
	var h header
	err = json.NewDecoder(io.LimitReader(f, maxLine)).Decode(&h)
	return h.Name, err == nil
}
