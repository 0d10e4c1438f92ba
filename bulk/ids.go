package bulk

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
)

// ids finds ids that are in a file twice. It has a digest of each in a file of its own, of which a part at a time is
// sorted in memory.
type ids struct {
	file *os.File
	out  *bufio.Writer
	n    int64
}

const (
	idSize    = len(digest{}) + 8 // with the line
	idsPart   = 1 << 19           // ids that are in memory together, about
	mostTwins = 1 << 16           // that are in memory
)

// place is where an id stands.
type place struct {
	id   digest
	line int64
}

// twin is a line whose id an earlier one has.
type twin struct{ line, first int64 }

func newIDs(path string) (*ids, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	return &ids{file: f, out: bufio.NewWriterSize(f, 64<<10)}, nil
}

// close removes the file.
func (s *ids) close() {
	_ = s.file.Close()           // nobody reads it again
	_ = os.Remove(s.file.Name()) // likewise
}

func (s *ids) add(id string, line int64) error {
	d := digestOf(id)
	s.n++
	_, err := s.out.Write(binary.LittleEndian.AppendUint64(d[:], uint64(line)))
	return err
}

// twice returns an InputError with each line whose id an earlier one has, or nil.
func (s *ids) twice(ctx context.Context) error { return s.parts(ctx, s.n/idsPart+1) }

// parts is twice in so many parts of the ids, each of which has all places of its ids.
func (s *ids) parts(ctx context.Context, n int64) error {
	if err := s.out.Flush(); err != nil {
		return err
	}
	var found []twin
	var bad InputError
	for part := range n {
		list, err := s.part(ctx, part, n)
		if err != nil {
			return err
		}
		slices.SortFunc(list, func(a, b place) int { return cmp.Or(bytes.Compare(a.id[:], b.id[:]), cmp.Compare(a.line, b.line)) })
		earlier := place{}
		for i, p := range list {
			if i == 0 || p.id != earlier.id {
				earlier = p
				continue
			}
			if len(found) == mostTwins {
				bad.More++
				continue
			}
			found = append(found, twin{p.line, earlier.line})
		}
	}
	slices.SortFunc(found, func(a, b twin) int { return cmp.Compare(a.line, b.line) })
	for _, t := range found {
		bad.add(Fault{t.line, "custom_id", "duplicate_custom_id",
			fmt.Sprintf("line %d: custom_id: want one of its own, got that of line %d", t.line, t.first)})
	}
	if len(bad.Faults) == 0 {
		return nil
	}
	return &bad
}

// part returns the places of the ids of a part.
func (s *ids) part(ctx context.Context, part, n int64) ([]place, error) {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(s.file, 256<<10)
	var list []place
	var record [idSize]byte
	for range s.n {
		if _, err := io.ReadFull(in, record[:]); err != nil {
			return nil, err
		}
		if binary.LittleEndian.Uint64(record[:])%uint64(n) != uint64(part) {
			continue
		}
		p := place{line: int64(binary.LittleEndian.Uint64(record[len(digest{}):]))}
		copy(p.id[:], record[:])
		list = append(list, p)
	}
	return list, ctx.Err()
}
