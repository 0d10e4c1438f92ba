package kernel

/*
#include "level_calls.h"
*/
import "C"

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Rows are vectors: the i-th one begins at First[i*Stride].
type Rows struct {
	First  []float32
	Stride int
}

// Product is a part of op.MatMul:
//
//	z = Act(Scale * (W * X[t]) + Bias);  Y[t] = Combine(z, From[t], To[t])
type Product struct {
	W           []byte // M rows of K elements, as stored
	Columns     []byte // ColumnBytes of room, if X is mostly zeros and Type is plain: see ToColumns; else nil
	Tile        int    // rows of Columns that are kept together: a multiple of 16, MostTile at most
	Type        tensor.Type
	M, K        int
	X           Rows // [K]
	Scale       float32
	Bias        []float32 // [M] or nil
	Act         op.Act
	Combine     op.Combine
	From, To, Y Rows // [M]; From and To are empty where Combine does not read them
}

// Reads reports whether kernels read elements of a type.
func Reads(t tensor.Type) bool { return t >= C.RK_F32 && t <= C.RK_IQ4_NL }

// Check returns an error if kernels lack what p is to do.
func (p *Product) Check() error {
	switch {
	case !Reads(p.Type):
		return &MissingError{"type", p.Type}
	case p.Act > C.RK_EXP_DECAY:
		return &MissingError{"Act", p.Act}
	case p.Combine > C.RK_MUL:
		return &MissingError{"Combine", p.Combine}
	}
	return nil
}

// MissingError is the error of what kernels do not have.
type MissingError struct {
	Field string
	Value fmt.Stringer
}

// Error names the field and its value.
func (e *MissingError) Error() string {
	return fmt.Sprintf("cpu: %s: no kernel has %s", e.Field, e.Value)
}

// Part is a Product as kernels take it.
type Part struct{ c C.struct_rk_part }

// NewPart returns p, which passes Check, for kernels. What p's slices hold must be C's memory or mapped, and stay
// there.
func NewPart(p *Product) *Part {
	return &Part{C.struct_rk_part{
		w: bytes(p.W), columns: bytes(p.Columns), x: floats(p.X.First), bias: floats(p.Bias),
		from: floats(p.From.First), to: floats(p.To.First), y: floats(p.Y.First),
		row_bytes: C.int64_t(p.Type.Bytes(p.K)), x_stride: C.int64_t(p.X.Stride), from_stride: C.int64_t(p.From.Stride),
		to_stride: C.int64_t(p.To.Stride), y_stride: C.int64_t(p.Y.Stride),
		_type: C.int32_t(p.Type), m: C.int32_t(p.M), k: C.int32_t(p.K),
		act: C.int32_t(p.Act), combine: C.int32_t(p.Combine), tile: C.int32_t(p.Tile), scale: C.float(p.Scale),
	}}
}

// WorkLen returns how many elements of memory MatMul needs for so many rows of k elements and n vectors.
func WorkLen(rows, k, n int) int { return int(C.rk_work(C.int(rows), C.int(k), C.int(n))) }

// Few returns the most vectors for which MatMul multiplies elements where it decodes them, whatever the number of rows.
func Few(t tensor.Type) int { return int(C.rk_few(C.int(t))) }

// Panel returns how many rows of k elements MatMul decodes at once for more vectors than Few. A multiple of it wastes
// nothing.
func Panel(k int) int { return int(C.rk_panel(C.int(k))) }

// MatMul does the output rows [from, to) for the first n vectors, of which there is at least one. work has at least
// WorkLen(to-from, K, n) elements, which no other call uses meanwhile.
func (l Level) MatMul(p *Part, from, to, n int, work []float32) error {
	return fault(C.rk_matmul(C.int(l), &p.c, C.int(from), C.int(to), C.int(n), floats(work)))
}

// MostTile is the most rows that are kept together by columns. A tile is read in pieces of a column each: wide ones are
// read faster.
const MostTile = C.RK_TILE

// ColumnBytes returns how many bytes m rows of k elements of a plain type take by columns.
func ColumnBytes(t tensor.Type, m, k int) int { return t.Bytes(int(C.rk_columns(C.int(m), C.int(k)))) }

// ToColumns writes the matrix rows [from, to) to p's Columns. from is a multiple of p's Tile, and so is to, or it is M.
func (l Level) ToColumns(p *Part, from, to int) error {
	return fault(C.rk_to_columns(C.int(l), &p.c, C.int(from), C.int(to)))
}

// SparseWorkLen returns how many elements of memory SparseMatMul needs for k columns.
func SparseWorkLen(k int) int { return int(C.rk_sparse_work(C.int(k))) }

// SparseMatMul is MatMul, to the same bits, that reads Columns alone, which ToColumns has written, and of them only
// those whose element of a vector is not zero. from is a multiple of p's Tile, and so is to, or it is M. work has at
// least SparseWorkLen(K) elements.
func (l Level) SparseMatMul(p *Part, from, to, n int, work []float32) {
	C.rk_sparse_matmul(C.int(l), &p.c, C.int(from), C.int(to), C.int(n), floats(work))
}

// GiveBack gives the memory of a mapped file's bytes back to the system, which keeps them in its cache: who reads them
// gets them again.
func GiveBack(data []byte) { C.rk_give_back(bytes(data), C.size_t(len(data))) }
