package layout

import (
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// Stored is how weights lie on the device.
type Stored struct {
	Type tensor.Type
	Band int // rows whose words lie side by side, or lines if it is wide (shaders/lib/blocks.glsl)
}

// Slab is what one dispatch takes of a MatMul: parts of one storage type whose weights lie in one buffer.
type Slab struct {
	Stored
	W     gpu.Range
	Rows  int // of all parts, each rounded up to RowAlign
	Bytes int // of weights
	Parts []Part
}

// Part is a part of a MatMul, or some of its rows.
type Part struct {
	*op.Part
	M0, Rows int
	Row      int // in the dispatch
	Weight   int // byte offset
}

// RowAlign is the multiple to which the rows of a part are rounded up in a dispatch. So no workgroup and no subgroup of
// a product's kernel takes rows of two parts.
const RowAlign = 64

// FirstRows returns the first rows of the parts behind the first. For parts that are not there it has glsl.None.
func (u *Slab) FirstRows() (rows [op.MaxParts - 1]uint32) {
	for i := range rows {
		rows[i] = glsl.None
		if i+1 < len(u.Parts) {
			rows[i] = uint32(u.Parts[i+1].Row)
		}
	}
	return rows
}

// Pad is the number of zero bytes behind a slab's weights, since matmul_reg reads the last row to a multiple of 64
// elements or of a superblock. If rows lie in bands, each row of a band needs as many.
const Pad = 512

// Bounds are how large a slab may be.
type Bounds struct {
	Band     int // that the device's kernels read
	MostRows int
	Texels   int // bytes that a slab should not exceed, so that it is one texel buffer; 0: no matter
}

// bytes returns the most bytes of a slab's weights, padding included, for rows of so many bytes.
func (b Bounds) bytes(most, rowBytes int) int {
	if b.Texels > 0 && b.Band*(rowBytes+Pad) <= b.Texels {
		return min(b.Texels, most)
	}
	return most
}

// band returns the band for rows of so many bytes: the device's, or 1 if the device's does not fit a binding.
func (b Bounds) band(most, rowBytes int) int {
	if b.Band*(rowBytes+Pad) <= b.bytes(most, rowBytes) {
		return b.Band
	}
	return 1
}

// bandsOf returns how many bands hold so many rows.
func bandsOf(rows, band int) int { return (rows + band - 1) / band }

// Slabs sends the matrices of a product to the device. Matrices of one type go together, cut at the device's binding
// limit.
func (l *Loader) Slabs(o *op.MatMul, b Bounds) ([]Slab, error) {
	var slabs []Slab
	for _, typ := range slices.Concat(tensor.Types, tensor.BlockTypes) {
		var list []Part
		for i := range o.Parts {
			if part := &o.Parts[i]; part.W.Source.Type == typ {
				list = append(list, Part{Part: part, Rows: part.Y.Len})
			}
		}
		cut, err := cut(typ, list, b, l.most())
		if err != nil {
			return nil, err
		}
		for i := range cut {
			if err := l.send(&cut[i]); err != nil {
				return nil, err
			}
		}
		slabs = append(slabs, cut...)
	}
	return slabs, nil
}

// cut distributes parts over slabs. Each slab fits a binding of so many bytes and, by its rows, a dispatch.
func cut(typ tensor.Type, list []Part, b Bounds, most int) ([]Slab, error) {
	var slabs []Slab
	for _, part := range list {
		band := b.band(most, stepOf(part.W, b.Band))
		rowBytes := stepOf(part.W, band)
		limit, bandBytes := b.bytes(most, rowBytes)-Pad*band, rowBytes*band
		if _, err := rowsWithin(part.W, rowBytes, limit); err != nil {
			return nil, err
		}
		for part.Rows > 0 {
			if last := len(slabs) - 1; last < 0 || slabs[last].Band != band || slabs[last].Bytes+bandBytes > limit ||
				slabs[last].Rows >= b.MostRows {
				slabs = append(slabs, Slab{Stored: Stored{typ, band}})
			}
			u := &slabs[len(slabs)-1]
			piece := part
			piece.Rows = min(part.Rows, (limit-u.Bytes)/bandBytes*band, b.MostRows-u.Rows)
			piece.Row, piece.Weight = u.Rows, u.Bytes
			u.Parts = append(u.Parts, piece)
			u.Bytes += bandsOf(piece.Rows, band) * bandBytes
			u.Rows += (piece.Rows + RowAlign - 1) / RowAlign * RowAlign
			part.M0, part.Rows = part.M0+piece.Rows, part.Rows-piece.Rows
		}
	}
	return slabs, nil
}

// send brings a slab's weights to a buffer of its own.
func (l *Loader) send(u *Slab) error {
	pad := Pad * min(u.Band, 8) // beyond, kernels read nothing behind the last row
	b, err := l.make(u.Parts[0].W.Name, u.Bytes+pad)
	if err != nil {
		return err
	}
	if err := l.dev.Upload(b.Range(u.Bytes, pad), make([]byte, pad)); err != nil {
		return err
	}
	u.W = b.All()
	for _, part := range u.Parts {
		m, err := l.matrix(part.W)
		if err != nil {
			return err
		}
		if err := m.upload(b, part.Weight, part.M0, part.Rows, u.Band); err != nil {
			return err
		}
		if part.M0+part.Rows == part.Y.Len { // its last piece
			l.used(part.W)
		}
	}
	return nil
}

// Words returns how many units of 8 elements, or 32 of a block type, a row of w has. A lane fetches a unit at a time.
func Words(w *op.Operand) int {
	if _, ok := packings[w.Source.Type]; ok {
		return w.Shape[1] / unitElements
	}
	return RowBytes(w) / w.Source.Type.Bytes(op.Pad)
}

// Bytes returns how many bytes a matrix takes on a device whose kernels read bands of so many rows.
func Bytes(w *op.Operand, band int) int { return bandsOf(w.Shape[0], band) * band * stepOf(w, band) }

// lineBytes returns the bytes of a row that lie together in a band of so many rows.
func lineBytes(typ tensor.Type, band int) int {
	if typ.IsBlock() && band >= glsl.WideBand {
		return glsl.LineWords * WordBytes
	}
	return WordBytes
}

// stepOf returns the bytes that a row of w takes in a band of so many rows, whole lines.
func stepOf(w *op.Operand, band int) int {
	line := lineBytes(w.Source.Type, band)
	return (RowBytes(w) + line - 1) / line * line
}
