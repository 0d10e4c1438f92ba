package layout

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// randomMatrix returns a matrix of finite numbers, and its rows padded with zeros one after the other.
func randomMatrix(rng *rand.Rand, typ tensor.Type, rows, cols int) (m *matrix, padded []byte) {
	stored := typ.Bytes(cols)
	data := make([]byte, rows*stored)
	f := make([]float32, cols)
	for r := range rows {
		for i := range f {
			f[i] = rng.Float32() + 1
		}
		typ.Encode(data[r*stored:], f)
		padded = append(padded, data[r*stored:(r+1)*stored]...)
		padded = append(padded, make([]byte, typ.Bytes(op.Stride(cols))-stored)...)
	}
	w := &op.Operand{Shape: []int{rows, cols}, Source: tensor.FromBytes("w", typ, []int{rows, cols}, data)}
	return newMatrix(nil, w, data), padded
}

// banded returns rows with word w of each of band rows side by side, the last band filled with zeros.
func banded(rows []byte, rowBytes, band int) []byte {
	n, words := len(rows)/rowBytes, rowBytes/16
	out := make([]byte, (n+band-1)/band*band*rowBytes)
	for r := range n {
		for w := range words {
			copy(out[((r/band*words+w)*band+r%band)*16:], rows[r*rowBytes+16*w:][:16])
		}
	}
	return out
}

// A weight that is sent in any pieces, from any row on, arrives padded, and the first of its elements that is not
// finite is found.
func TestMatrixFill(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 8))
	for try := range 200 {
		typ := tensor.Types[try%len(tensor.Types)]
		rows, cols := 1+rng.IntN(40), 1+rng.IntN(90)
		if try%20 < 2 {
			rows, cols = 7, 40_000+8*rng.IntN(9000)+try%20 // several groups of rows, for several cores
		}
		m, padded := randomMatrix(rng, typ, rows, cols)
		m.lie(1 << rng.IntN(4))
		first := rng.IntN(rows)
		want, bad := banded(padded[first*m.to:], m.to, m.band), -1
		if try%2 == 0 {
			bad = first*cols + rng.IntN((rows-first)*cols)
			typ.Encode(m.data[typ.Bytes(bad):], []float32{float32(math.NaN())})
			if later := bad + 1 + rng.IntN(2*cols); later < rows*cols {
				typ.Encode(m.data[typ.Bytes(later):], []float32{float32(math.Inf(-1))})
			}
		}
		next, found := first, -1
		for at := 0; at < len(want) && found < 0; {
			n := min(1+rng.IntN(3*m.to), len(want)-at)
			piece := bytes.Repeat([]byte{0xaa}, n)
			bandBytes := m.to * m.band
			row, end := first+at/bandBytes*m.band, min(first+((at+n-1)/bandBytes+1)*m.band, rows)
			found, _ = m.fill(piece, (row-first)*m.to-at, row, end, next)
			if found < 0 && bad < 0 && !bytes.Equal(piece, want[at:at+n]) {
				t.Fatalf("%s[%d %d] from row %d: the %d bytes at %d are not those of the padded rows", typ, rows, cols, first, n, at)
			}
			next, at = end, at+n
		}
		if found != bad {
			t.Fatalf("%s[%d %d] from row %d: want element %d found not to be finite, got %d", typ, rows, cols, first, bad, found)
		}
	}
}

// Of a block type, a wide band has the lines of its rows side by side, whatever pieces it is sent in. What is left of a
// line, and of a band, is zeros.
func TestLines(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 8))
	const band, line = 64, 4 // as shaders/lib/blocks.glsl reads them
	for _, typ := range tensor.BlockTypes {
		rows, cols := 1+rng.IntN(150), 256*(1+rng.IntN(5))
		stored := typ.Bytes(cols)
		data := make([]byte, rows*stored)
		for i := range data {
			data[i] = byte(rng.IntN(0x3c)) // whatever is a scale is finite
		}
		m := newMatrix(nil, &op.Operand{Shape: []int{rows, cols}, Source: tensor.FromBytes("w", typ, []int{rows, cols}, data)}, data)
		m.lie(band)
		words := m.to / 16
		lines := (words + line - 1) / line
		want := make([]byte, (rows+band-1)/band*band*lines*line*16)
		for r := range rows {
			packed := make([]byte, m.to)
			packRow(typ, packed, data[r*stored:][:stored])
			for w := range words {
				at := r/band*band*lines*line + w/line*line*band + r%band*line + w%line
				copy(want[16*at:], packed[16*w:][:16])
			}
		}
		bandBytes := m.step * band
		for at, next := 0, 0; at < len(want); {
			n := min(1+rng.IntN(2*bandBytes), len(want)-at)
			piece := bytes.Repeat([]byte{0xaa}, n)
			row, end := at/bandBytes*band, min(((at+n-1)/bandBytes+1)*band, rows)
			if _, err := m.fill(piece, row*m.step-at, row, end, next); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(piece, want[at:at+n]) {
				t.Fatalf("%s[%d %d]: the %d bytes at %d are not those of the lines", typ, rows, cols, n, at)
			}
			next, at = end, at+n
		}
	}
}
