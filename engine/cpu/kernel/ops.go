package kernel

/*
#include "level_calls.h"
*/
import "C"

// LayerNorm writes (x - mean(x)) / sqrt(var(x) + eps) * w + b to y, all [n] of x's length.
func (l Level) LayerNorm(y, x, w, b []float32, eps float32) {
	C.rk_layer_norm(C.int(l), floats(y), floats(x), floats(w), floats(b), C.int(len(x)), C.float(eps))
}

// ShiftMix is op.ShiftMix for rows of one sequence that follow each other. A value is used again and again by one
// goroutine.
type ShiftMix struct {
	X            Rows
	Rows, Width  int
	NormW, NormB []float32
	Eps          float32
	Prev         []float32 // what stands before the first row, normalised, or nil
	Before       []float32 // where Prev is nil: the same, not normalised
	Mix          [][]float32
	Y            []Rows    // for each of Mix
	Last         []float32 // takes the last row, normalised, or nil

	c C.struct_rk_shift
}

// ShiftMix mixes. work has at least 2 * p.Width elements.
func (l Level) ShiftMix(p *ShiftMix, work []float32) {
	c := &p.c
	*c = C.struct_rk_shift{x: floats(p.X.First), norm_w: floats(p.NormW), norm_b: floats(p.NormB),
		prev: floats(p.Prev), before: floats(p.Before), last: floats(p.Last),

		x_stride: C.int64_t(p.X.Stride), width: C.int32_t(p.Width), rows: C.int32_t(p.Rows), mixes: C.int32_t(len(p.Mix)), eps: C.float(p.Eps)}
	for i, mix := range p.Mix {
		c.mix[i], c.y[i] = floats(mix), floats(p.Y[i].First)
		c.y_stride = C.int64_t(p.Y[i].Stride)
	}
	C.rk_do_shift_mix(C.int(l), &p.c, floats(work))
}

// DeepEmbed multiplies h [inner] with matrix [inner, width], decoded, to y [width].
func (l Level) DeepEmbed(y, h, matrix []float32) {
	C.rk_deep_embed(C.int(l), floats(y), floats(h), floats(matrix), C.int(len(h)), C.int(len(y)))
}

// WKV4 is op.WKV4 for channels of one sequence: each slice begins at the first channel, of the first row. A value is
// used again and again by one goroutine.
type WKV4 struct {
	R, K, V, W, U, AA, BB, PP, Y []float32
	Stride                       int // of R, K, V and Y
	Channels, Rows               int

	c C.struct_rk_wkv4
}

// WKV4 works through the rows.
func (l Level) WKV4(p *WKV4) {
	p.c = C.struct_rk_wkv4{r: floats(p.R), k: floats(p.K), v: floats(p.V), w: floats(p.W), u: floats(p.U),
		aa: floats(p.AA), bb: floats(p.BB), pp: floats(p.PP), y: floats(p.Y),
		stride: C.int64_t(p.Stride), channels: C.int32_t(p.Channels), rows: C.int32_t(p.Rows)}
	C.rk_do_wkv4(C.int(l), &p.c)
}

// Head is what WKV6 and WKV7 have in common: each slice begins at the head, of the first row, State at the head's.
type Head struct {
	NormW, NormB, State, Y []float32
	Stride                 int // of rows
	N, Rows                int
	Eps                    float32
}

// WKV6 is op.WKV6 for one head of one sequence: each slice begins at the head, of the first row, State at the head's. A
// value is used again and again by one goroutine.
type WKV6 struct {
	Head
	R, K, V, W, U, G []float32
	WStride          int // 0 where W is a weight

	c C.struct_rk_wkv6
}

// WKV6 works through the rows. work has at least p.N elements.
func (l Level) WKV6(p *WKV6, work []float32) {
	p.c = C.struct_rk_wkv6{r: floats(p.R), k: floats(p.K), v: floats(p.V), w: floats(p.W), u: floats(p.U), g: floats(p.G),
		norm_w: floats(p.NormW), norm_b: floats(p.NormB), state: floats(p.State), y: floats(p.Y),
		stride: C.int64_t(p.Stride), w_stride: C.int64_t(p.WStride), n: C.int32_t(p.N), rows: C.int32_t(p.Rows), eps: C.float(p.Eps)}
	C.rk_do_wkv6(C.int(l), &p.c, floats(work))
}

// WKV7 is op.WKV7 for one head of one sequence: each slice begins at the head, of the first row, State at the head's. A
// value is used again and again by one goroutine.
type WKV7 struct {
	Head
	R, W, K, V, A, G, KK, KA, RK []float32

	c C.struct_rk_wkv7
}

// WKV7 works through the rows. work has at least 4 * p.N elements.
func (l Level) WKV7(p *WKV7, work []float32) {
	p.c = C.struct_rk_wkv7{r: floats(p.R), w: floats(p.W), k: floats(p.K), v: floats(p.V), a: floats(p.A), g: floats(p.G),
		kk: floats(p.KK), ka: floats(p.KA), rk: floats(p.RK),
		norm_w: floats(p.NormW), norm_b: floats(p.NormB), state: floats(p.State), y: floats(p.Y),
		stride: C.int64_t(p.Stride), n: C.int32_t(p.N), rows: C.int32_t(p.Rows), eps: C.float(p.Eps)}
	C.rk_do_wkv7(C.int(l), &p.c, floats(work))
}
