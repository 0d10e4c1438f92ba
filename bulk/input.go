package bulk

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"

	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// lines reads the items of a file one after the other. Only one line at a time is in memory.
type lines struct {
	file  *os.File
	in    *bufio.Reader
	most  int64 // bytes of a line
	rules *rules
	hash  hash.Hash // of all that was read; nil for none
	line  int64     // that was read last, from 1
	index int64     // of the next item
}

// openLines opens a file, which has to be one that can be read again.
func openLines(path string, most int64, r *rules) (*lines, error) {
	info, err := os.Stat(path) // before opening: opening a pipe waits for its writer
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: want a file, which is read twice, got another kind of thing", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &lines{file: f, in: bufio.NewReaderSize(f, 256<<10), most: most, rules: r}, nil
}

func (l *lines) close() { _ = l.file.Close() } // read only

var mark = []byte("\ufeff") // with which some programs begin a text

// next returns the next item. Its error is io.EOF at the end. Empty lines are none.
func (l *lines) next() (item, error) {
	for {
		line, size, err := l.read()
		if err != nil {
			return item{}, err
		}
		if l.line++; l.line == 1 {
			line = bytes.TrimPrefix(line, mark)
		}
		if size <= l.most {
			line = bytes.TrimSpace(line)
			if len(line) == 0 {
				continue
			}
		}
		var it item
		if size > l.most {
			it = item{fault: &wire.Error{Status: http.StatusRequestEntityTooLarge, Code: "line_too_large",
				Message: fmt.Sprintf("want a line of at most %d bytes, got %d", l.most, size)}}
			it.User = l.rules.user
		} else {
			it = l.rules.read(line)
		}
		it.index, it.line, it.bytes = l.index, l.line, size
		if it.fault != nil {
			it.fault.Message = fmt.Sprintf("line %d: %s", it.line, it.fault.Message)
		}
		l.index++
		return it, nil
	}
}

// read returns the next line, or some of one that is too long, and how many bytes it has with its end.
func (l *lines) read() (line []byte, size int64, err error) {
	for {
		part, err := l.in.ReadSlice('\n')
		if l.hash != nil {
			_, _ = l.hash.Write(part) // never fails
		}
		if size += int64(len(part)); size <= l.most+1 {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && size > 0, err == nil:
			return line, size, nil
		default:
			return nil, 0, err
		}
	}
}

// Input is what Check found in a file.
type Input struct {
	SHA256 string `json:"sha256"`
	Items  int64  `json:"items"`
	Bad    int64  `json:"bad"` // of these, lines that are no requests
}

// Fault is what is wrong with a line of the input.
type Fault struct {
	Line    int64
	Param   string
	Code    string
	Message string // which begins with the line
}

// InputError is the error of a file of which no item is done.
type InputError struct {
	Faults []Fault // the first ones, at least one
	More   int64   // that are not listed
}

func (e *InputError) Error() string {
	text := e.Faults[0].Message
	if n := int64(len(e.Faults)-1) + e.More; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return text
}

// mostFaults is how many faults an InputError lists.
const mostFaults = 100

func (e *InputError) add(f Fault) {
	if len(e.Faults) < mostFaults {
		e.Faults = append(e.Faults, f)
		return
	}
	e.More++
}

// scan reads the whole input. Without faults that end the job, it is nil that ids does not find.
func (j *Job) scan(ctx context.Context) (Input, error) {
	l, err := openLines(j.o.Input, j.o.MostLine, &j.rules)
	if err != nil {
		return Input{}, err
	}
	defer l.close()
	l.hash = sha256.New()
	ids, err := newIDs(j.path(idsName))
	if err != nil {
		return Input{}, err
	}
	defer ids.close()
	var in Input
	var first *InputError // of lines that are no requests
	for {
		it, err := l.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && it.ID != "" {
			err = ids.add(it.ID, it.line)
		}
		if err != nil {
			return in, err
		}
		if in.Items++; it.fault != nil {
			if in.Bad++; first == nil {
				first = new(InputError)
			}
			first.add(Fault{it.line, it.fault.Param, it.fault.Code, it.fault.Message})
		}
		if j.o.MostItems > 0 && in.Items > j.o.MostItems {
			return in, oneFault(it.line, "too_many_items", fmt.Sprintf("line %d: want at most %d requests, got more", it.line, j.o.MostItems))
		}
	}
	switch {
	case in.Items == 0:
		return in, oneFault(1, "empty_file", "line 1: want a request, got an empty file")
	case in.Bad == in.Items:
		return in, first
	}
	in.SHA256 = hex.EncodeToString(l.hash.Sum(nil))
	return in, ids.twice(ctx)
}

func oneFault(line int64, code, message string) *InputError {
	return &InputError{Faults: []Fault{{line, "", code, message}}}
}
