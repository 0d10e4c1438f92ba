package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Limits of a World vocabulary file. The published one has 65529 tokens of at most 128 bytes in 1.1 MB.
const (
	MaxID      = 1<<20 - 1 // highest id
	MaxToken   = 1024      // bytes of a token
	maxLine    = 8192      // bytes of a line: MaxToken escapes of four characters and the other fields fit
	maxFile    = 64 << 20  // bytes: lines can be counted in 24 bits
	minLineLen = len("1 'a' 1\n")
)

// ParseWorld reads a World vocabulary, in any of its forms, from data; name stands for the file in errors and is the
// tokenizer's Name. A fault in data is an [*Error]. data is not kept.
func ParseWorld(name string, data []byte) (*World, error) {
	if len(data) > maxFile {
		return nil, &Error{File: name, Field: "size", Want: fmt.Sprintf("at most %d bytes", maxFile), Got: "more"}
	}
	data, err := plainText(name, data)
	switch {
	case err != nil:
		return nil, err
	case isJSON(data):
		return parseWorldJSON(name, data)
	case bytes.HasPrefix(data, []byte("b'")), bytes.HasPrefix(data, []byte(`b"`)):
		return parseLiterals(name, data)
	}
	v := vocabulary{file: name, text: make([]byte, 0, len(data)/2), entries: make([]entry, 0, len(data)/minLineLen/2)}
	for line, row := range rows(data) {
		if fault := v.add(row); fault != nil {
			fault.File, fault.Line = name, line
			return nil, fault
		}
	}
	return v.world(name)
}

// byteOrderMark is what some editors put before UTF-8.
const byteOrderMark = "\xef\xbb\xbf"

// plainText returns data without a byte order mark, and without blank lines at its end. Editors and copying leave both.
func plainText(name string, data []byte) ([]byte, error) {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return nil, &Error{File: name, Field: "encoding", Want: "UTF-8", Got: "the mark of UTF-16 at the start"}
	}
	return bytes.TrimRight(bytes.TrimPrefix(data, []byte(byteOrderMark)), " \t\r\n"), nil
}

// rows yields the lines of data by number, from 1 on, without their line breaks.
func rows(data []byte) iter.Seq2[int, []byte] {
	return func(yield func(int, []byte) bool) {
		for line := 1; len(data) > 0; line++ {
			var row []byte
			row, data, _ = bytes.Cut(data, []byte("\n"))
			if !yield(line, bytes.TrimSuffix(row, []byte("\r"))) {
				return
			}
		}
	}
}

// world builds the tokenizer.
func (v *vocabulary) world(name string) (*World, error) {
	if len(v.entries) == 0 {
		return nil, &Error{File: name, Field: "tokens", Want: "at least one", Got: "none"}
	}
	starts, err := v.starts()
	if err != nil {
		return nil, err
	}
	sorted, err := v.sorted()
	if err != nil {
		return nil, err
	}
	w := &World{name: name, starts: starts, bytes: make([]byte, len(v.text))}
	for _, e := range v.entries {
		copy(w.bytes[starts[e.id]:], v.token(e))
	}
	w.trie = newTrie(v.text, sorted)
	return w, nil
}

// vocabulary is a file while it is read: entry i stands on line i+1.
type vocabulary struct {
	file    string
	text    []byte // all tokens, joined in order of line
	entries []entry
}

// entry is a token: where its bytes are in the text of the file's tokens, and its id.
type entry struct{ start, end, id uint32 }

func (v *vocabulary) token(e entry) []byte { return v.text[e.start:e.end] }

// add reads one line, without its line break.
func (v *vocabulary) add(row []byte) *Error {
	if len(row) > maxLine {
		return &Error{Field: "line", Want: fmt.Sprintf("at most %d bytes", maxLine), Got: strconv.Itoa(len(row))}
	}
	if !utf8.Valid(row) {
		return &Error{Field: "line", Want: "valid UTF-8", Got: excerpt(row)}
	}
	field, rest, found := bytes.Cut(row, []byte(" "))
	id, ok := decimal(field, 1, MaxID)
	if !ok {
		return &Error{Field: "id", Want: fmt.Sprintf("a number from 1 to %d", MaxID), Got: excerpt(field)}
	}
	if !found {
		return &Error{Field: "token", Want: "a space and a Python literal after the id", Got: "the end of the line"}
	}
	start := len(v.text)
	text, rest, fault := appendLiteral(v.text, rest)
	if fault != nil {
		return &Error{Field: "token", Want: fault.want, Got: fault.got}
	}
	size := len(text) - start
	if size < 1 || size > MaxToken {
		return &Error{Field: "token", Want: fmt.Sprintf("1 to %d bytes", MaxToken), Got: strconv.Itoa(size)}
	}
	if len(rest) == 0 || rest[0] != ' ' {
		return &Error{Field: "length", Want: "a space and a number after the token", Got: excerpt(rest)}
	}
	if length, ok := decimal(rest[1:], 1, MaxToken); !ok || length != size {
		return &Error{Field: "length", Want: fmt.Sprintf("%d, the bytes of the token", size), Got: excerpt(rest[1:])}
	}
	v.text = text
	v.entries = append(v.entries, entry{id: uint32(id), start: uint32(start), end: uint32(len(text))})
	return nil
}

// decimal reads a whole field of digits as a number from low to high.
func decimal(field []byte, low, high int) (int, bool) {
	n := 0
	for _, c := range field {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = 10*n + int(c-'0'); n > high {
			return 0, false
		}
	}
	return n, n >= low
}

// starts returns where each id's bytes start if tokens are joined in order of id, and the end of the last. Ids without
// a token take no bytes. It finds an id that occurs twice.
func (v *vocabulary) starts() ([]uint32, error) {
	size := 1
	for _, e := range v.entries {
		size = max(size, int(e.id)+1)
	}
	starts := make([]uint32, size+1)
	for i, e := range v.entries {
		if starts[e.id+1] != 0 {
			first := slices.IndexFunc(v.entries, func(o entry) bool { return o.id == e.id })
			return nil, &Error{File: v.file, Line: i + 1, Field: "id", Want: "each id once",
				Got: fmt.Sprintf("%d, which line %d has", e.id, first+1)}
		}
		starts[e.id+1] = e.end - e.start
	}
	for id := range size {
		starts[id+1] += starts[id]
	}
	return starts, nil
}

// sorted returns the tokens in byte order. It finds a token that occurs twice.
func (v *vocabulary) sorted() ([]entry, error) {
	// Most of the order comes from plain numbers: the first five bytes of a token, and its line in the low 24 bits.
	const prefixLen, lineBits = 5, 24
	keys := make([]uint64, len(v.entries))
	for i, e := range v.entries {
		var prefix [8]byte
		copy(prefix[:prefixLen], v.token(e))
		keys[i] = binary.BigEndian.Uint64(prefix[:]) | uint64(i)
	}
	slices.Sort(keys)
	sorted := make([]entry, len(keys))
	same := 0 // start of the tokens with the same first bytes as this one
	var fault *Error
	for i, key := range keys {
		sorted[i] = v.entries[key&(1<<lineBits-1)]
		if i+1 < len(keys) && key>>lineBits == keys[i+1]>>lineBits {
			continue
		}
		run := sorted[same : i+1]
		slices.SortFunc(run, func(a, b entry) int {
			return cmp.Or(bytes.Compare(v.token(a), v.token(b)), cmp.Compare(a.start, b.start))
		})
		fault = v.firstDuplicate(run, fault)
		same = i + 1
	}
	if fault != nil {
		return nil, fault
	}
	return sorted, nil
}

// firstDuplicate returns the fault of the first line that repeats a token, among the tokens in run and the fault found
// before.
func (v *vocabulary) firstDuplicate(run []entry, found *Error) *Error {
	for i := 1; i < len(run); i++ {
		first, again := run[i-1], run[i]
		if !bytes.Equal(v.token(first), v.token(again)) {
			continue
		}
		if line := v.line(again); found == nil || line < found.Line {
			found = &Error{File: v.file, Line: line, Field: "token", Want: "each token once",
				Got: fmt.Sprintf("%s, which line %d has", excerpt(v.token(again)), v.line(first))}
		}
	}
	return found
}

// line returns the line on which e stands.
func (v *vocabulary) line(e entry) int {
	i, _ := slices.BinarySearchFunc(v.entries, e.start, func(o entry, start uint32) int { return cmp.Compare(o.start, start) })
	return i + 1
}
