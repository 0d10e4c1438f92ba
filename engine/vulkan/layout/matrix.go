package layout

import (
	"runtime"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// matrix is a weight matrix, to be uploaded as kernels read it.
type matrix struct {
	l        *Loader
	of       *op.Operand
	typ      tensor.Type
	data     []byte // as loaded
	rows     int
	from, to int // bytes of a row as loaded and as packed
	band     int // rows whose lines lie side by side on the device
	line     int // bytes of a line
	step     int // bytes of a row on the device, whole lines
}

func newMatrix(l *Loader, w *op.Operand, data []byte) *matrix {
	typ := w.Source.Type
	m := &matrix{l: l, of: w, typ: typ, data: data, rows: w.Shape[0], from: typ.Bytes(w.Shape[1]), to: RowBytes(w)}
	m.lie(1)
	return m
}

// lie sets how many rows a band has.
func (m *matrix) lie(band int) {
	m.band, m.line, m.step = band, lineBytes(m.typ, band), stepOf(m.of, band)
}

// upload brings n rows, from row first on, to b at offset off, in whole bands of so many rows. It checks that every
// element of them is finite. It reads the loaded bytes in place.
func (m *matrix) upload(b *gpu.Buffer, off, first, n, band int) error {
	m.lie(band)
	var fault error
	next := first // the first row that is not checked
	bandBytes := m.step * m.band
	return tensor.Use(m.data, func() error {
		err := m.l.dev.UploadFunc(b.Range(off, bandsOf(n, m.band)*bandBytes), func(piece []byte, at int) {
			if fault != nil {
				return
			}
			row, end := first+at/bandBytes*m.band, first+min(((at+len(piece)-1)/bandBytes+1)*m.band, n)
			var bad int
			if bad, fault = m.fill(piece, (row-first)*m.step-at, row, end, next); bad >= 0 {
				fault = &op.NotFiniteError{Tensor: m.of.Source.Name, Index: bad}
			}
			if fault == nil {
				fault = m.l.count(m.of, (end-next)*m.from)
			}
			next = end // a band in two pieces is checked with the first
		})
		if fault != nil {
			return fault
		}
		return err
	})
}

// together is how many bytes of rows are checked and then written, so that they stay in a core's cache between.
const together = 128 << 10

// fill writes rows [row, end) to piece as the device has them. Row row begins a band, and lies at offset at of the
// piece, which is 0 or negative. fill checks the rows from next on. It returns the index of the first element that is
// not finite, or -1. The error says that the file could not be read.
func (m *matrix) fill(piece []byte, at, row, end, next int) (int, error) {
	step := bandsOf(max(1, together/m.step), m.band) * m.band
	groups := (end - row + step - 1) / step
	workers := min(runtime.GOMAXPROCS(0), groups)
	bad, errs := make([]int, workers), make([]error, workers)
	work := func(w int) {
		bad[w] = -1
		errs[w] = tensor.Guard(func() error {
			for g := groups * w / workers; g < groups*(w+1)/workers && bad[w] < 0; g++ {
				a := row + g*step
				b := min(a+step, end)
				if bad[w] = m.check(max(a, next), b); bad[w] < 0 {
					m.write(piece, at+(a-row)*m.step, a, b)
				}
			}
			return nil
		})
	}
	var wait sync.WaitGroup
	for w := 1; w < workers; w++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			work(w)
		}()
	}
	work(0)
	wait.Wait()
	for w, i := range bad {
		if i >= 0 || errs[w] != nil {
			return i, errs[w]
		}
	}
	return -1, nil
}

// check returns the index of the first element of rows [row, end) that is not finite, or -1.
func (m *matrix) check(row, end int) int {
	if row >= end {
		return -1
	}
	i := m.typ.CheckFinite(m.data[row*m.from : end*m.from])
	if i < 0 {
		return -1
	}
	return row*m.of.Shape[1] + i
}

// write writes the bytes of rows [row, end) that lie within piece. Row row begins a band, and lies at offset at of the
// piece, which may be outside of it.
func (m *matrix) write(piece []byte, at, row, end int) {
	if m.band == 1 && m.from == m.to && !m.typ.IsBlock() {
		copy(piece[max(at, 0):], m.data[row*m.from+max(-at, 0):end*m.from])
		return
	}
	bandBytes := m.step * m.band
	var whole []byte
	for ; row < end; row, at = row+m.band, at+bandBytes {
		if at >= 0 && at+bandBytes <= len(piece) {
			m.writeBand(piece[at:at+bandBytes], row, end)
			continue
		}
		if whole == nil {
			whole = make([]byte, bandBytes)
		}
		m.writeBand(whole, row, end)
		copy(piece[max(at, 0):], whole[max(-at, 0):])
	}
}

// writeBand writes the band that begins with row. Its rows from end on are zeros.
func (m *matrix) writeBand(dst []byte, row, end int) {
	if m.band == 1 {
		packRow(m.typ, dst, m.data[row*m.from:][:m.from])
		return
	}
	packed := make([]byte, m.to)
	for i := range m.band {
		src := packed
		switch {
		case row+i >= end:
			clear(packed)
		case m.from == m.to && !m.typ.IsBlock():
			src = m.data[(row+i)*m.from:][:m.from]
		default:
			packRow(m.typ, packed, m.data[(row+i)*m.from:][:m.from])
		}
		m.writeLines(dst[i*m.line:], src)
	}
}

// writeLines writes the lines of a row to their places in a band, from the row's first on. The last is filled with zeros.
func (m *matrix) writeLines(dst, src []byte) {
	if m.line == WordBytes {
		for at := 0; len(src) > 0; at, src = at+m.band*WordBytes, src[WordBytes:] {
			*(*[WordBytes]byte)(dst[at:]) = *(*[WordBytes]byte)(src)
		}
		return
	}
	for at := 0; len(src) > 0; at += m.band * m.line {
		n := copy(dst[at:at+m.line], src)
		clear(dst[at+n : at+m.line])
		src = src[n:]
	}
}
