package bulk

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// Rest is why items were not done, for a job that ends before all of them have a result.
type Rest struct{ Code, Message string }

// Finish writes the results in the order of the input: what succeeded to the output, and the rest to the file of errors,
// which is not there if nothing failed. Items without a result fail for the reason of rest; without one they are an error.
// The counts afterwards are those of the files.
func (j *Job) Finish(ctx context.Context, rest *Rest) error {
	if j.head.Done {
		return nil
	}
	if n := j.Counts().Left(); n > 0 && rest == nil {
		return fmt.Errorf("%s: want a result of each item, %d have none", j.o.Dir, n)
	}
	order, err := j.order()
	if err != nil {
		return err
	}
	defer func() {
		_ = order.Close()           // nobody reads it again
		_ = os.Remove(order.Name()) // likewise
	}()
	good, err := j.write(ctx, order, j.o.Output, succeeded, nil)
	if err != nil {
		return err
	}
	bad := int64(0)
	if good < j.head.Input.Items {
		bad, err = j.write(ctx, order, j.o.Errors, failed, rest)
	} else if err = os.Remove(j.o.Errors); errors.Is(err, fs.ErrNotExist) { // of an earlier run
		err = nil
	}
	if err != nil {
		return err
	}
	j.mu.Lock()
	j.head.Done, j.head.Counts = true, Counts{j.head.Input.Items, good, bad}
	j.mu.Unlock()
	if err := j.keep(); err != nil || bad > 0 { // what failed can be done again, beside what has not
		return err
	}
	err = j.journal.close()
	j.journal = nil
	return errors.Join(err, os.Remove(j.path(journalName)))
}

// A record of the order is where the result of an item stands in the journal: the place, and above the lowest byte, which
// is the kind, the size. A size of 0 stands for no result.
const recordSize = 16

// order writes a file with a record for each item.
func (j *Job) order() (*os.File, error) {
	f, err := os.OpenFile(j.path(orderName), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	err = f.Truncate(j.head.Input.Items * recordSize)
	if err == nil {
		err = j.journal.each(func(e entryAt) error {
			if e.index >= j.head.Input.Items || e.kind == failed && j.good.has(e.index) {
				return nil
			}
			var record [recordSize]byte
			binary.LittleEndian.PutUint64(record[:], uint64(e.at))
			binary.LittleEndian.PutUint64(record[8:], uint64(e.size)<<8|uint64(e.kind))
			_, err := f.WriteAt(record[:], e.index*recordSize)
			return err
		})
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// write writes the results of a kind to a file, and counts them. For items without any it writes the rest, if that is not
// nil.
func (j *Job) write(ctx context.Context, order *os.File, path string, kind byte, rest *Rest) (n int64, err error) {
	err = files.Replace(path, func(w io.Writer) error {
		n, err = j.results(ctx, order, w, kind, rest)
		return err
	}, nil)
	return n, err
}

func (j *Job) results(ctx context.Context, order *os.File, w io.Writer, kind byte, rest *Rest) (n int64, err error) {
	if _, err := order.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	var in *lines
	if rest != nil {
		if in, err = openLines(j.o.Input, j.o.MostLine, &j.rules); err != nil {
			return 0, err
		}
		defer in.close()
	}
	records := bufio.NewReaderSize(order, 256<<10)
	var record [recordSize]byte
	var it item
	for range j.head.Input.Items {
		_, err := io.ReadFull(records, record[:])
		if err == nil && in != nil {
			it, err = in.next()
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return n, err
		}
		at, word := int64(binary.LittleEndian.Uint64(record[:])), binary.LittleEndian.Uint64(record[8:])
		switch size := int64(word >> 8); {
		case size > 0 && byte(word) == kind:
			_, err = io.Copy(w, io.NewSectionReader(j.journal.file, at, size))
		case size == 0 && rest != nil:
			var text []byte
			if text, err = faulty(&it, rest.Code, rest.Message).line(); err == nil {
				_, err = w.Write(text)
			}
		default:
			continue
		}
		if err == nil {
			_, err = w.Write([]byte{'\n'})
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
