package bulk

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// A line of the journal is
//
//	checksum  8 hexadecimal digits, CRC-32C of all behind the space that follows
//	index     of the item
//	kind      a letter
//	result    one line of JSON, as it stands in the output
//
// with a space between each two. Other lines are those that a killed process, a full disk or a loss of power broke: they do
// not count. Of several lines of one item, the last one counts.
const (
	succeeded = 'o'
	failed    = 'e'
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// journal has the results of items in the order in which they came.
type journal struct {
	file  *os.File
	flush func() error  // file.Sync
	dirty chan struct{} // has an element if there may be results that were not flushed

	mu    sync.Mutex
	end   int64 // of the last whole line
	wrong error // after which nothing is written
}

// openJournal opens the journal at a path, or makes it, and tells entry of each result that is there.
func openJournal(path string, entry func(index int64, kind byte)) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{file: f, flush: f.Sync, dirty: make(chan struct{}, 1)}
	err = j.each(func(e entryAt) error {
		entry(e.index, e.kind)
		return nil
	})
	if err == nil && j.end > 0 {
		var last [1]byte
		if _, err = f.ReadAt(last[:], j.end-1); err == nil && last[0] != '\n' { // a torn line, which becomes one of its own
			_, err = f.WriteAt([]byte{'\n'}, j.end)
			j.end++
		}
	}
	if err == nil {
		err = j.sync() // a killed process may not have come to it
		files.SyncFolder(filepath.Dir(path))
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return j, nil
}

// entryAt is a result, and where it stands.
type entryAt struct {
	index    int64
	kind     byte
	at, size int64 // of the JSON, without the end of the line
}

// each reads all results. Then the end is that of the file.
func (j *journal) each(tell func(entryAt) error) error {
	if _, err := j.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	in := bufio.NewReaderSize(j.file, 256<<10)
	at := int64(0)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) { // what is left is no whole line
			j.end = at + int64(len(line))
			return nil
		}
		if err != nil {
			return err
		}
		if e, ok := parse(line[:len(line)-1]); ok {
			e.at += at
			if err := tell(e); err != nil {
				return err
			}
		}
		at += int64(len(line))
	}
}

// parse reads a line, and reports whether it is whole.
func parse(line []byte) (e entryAt, ok bool) {
	sum, rest, found := bytes.Cut(line, []byte{' '})
	if !found || fmt.Sprintf("%08x", crc32.Checksum(rest, castagnoli)) != string(sum) {
		return e, false
	}
	number, rest, _ := bytes.Cut(rest, []byte{' '})
	kind, text, _ := bytes.Cut(rest, []byte{' '})
	index, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil || index < 0 || len(kind) != 1 || kind[0] != succeeded && kind[0] != failed {
		return e, false
	}
	return entryAt{index, kind[0], int64(len(line) - len(text)), int64(len(text))}, true
}

// add adds a result, which is one line. After an error no other is added: there may be half a line.
func (j *journal) add(index int64, kind byte, result []byte) error {
	rest := fmt.Appendf(nil, "%d %c %s", index, kind, result)
	line := fmt.Appendf(make([]byte, 0, len(rest)+10), "%08x %s\n", crc32.Checksum(rest, castagnoli), rest)
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.wrong != nil {
		return j.wrong
	}
	if _, j.wrong = j.file.WriteAt(line, j.end); j.wrong != nil {
		_ = j.file.Truncate(j.end) // else the checksum says that the line is torn
		return j.wrong
	}
	j.end += int64(len(line))
	select {
	case j.dirty <- struct{}{}:
	default: // there is one
	}
	return nil
}

// sync waits until the results are on the disk that were added before. After an error no other is added.
func (j *journal) sync() error {
	err := j.flush()
	if err != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.wrong = cmp.Or(j.wrong, err)
	}
	return err
}

// close waits until the results are on the disk.
func (j *journal) close() error {
	return errors.Join(j.sync(), j.file.Close())
}
