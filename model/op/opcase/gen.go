package opcase

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Gen builds a case's operands and their values.
type Gen struct {
	*op.Builder
	rng    *rand.Rand
	fill   map[int]func() float32 // by operand ID
	nextID int
}

func newGen() *Gen {
	return &Gen{Builder: new(op.Builder), rng: rand.New(rand.NewPCG(7, 11)), fill: make(map[int]func() float32)}
}

// normal returns normally distributed values.
func (g *Gen) normal(scale float64) func() float32 {
	return func() float32 { return float32(g.rng.NormFloat64() * scale) }
}

// uniform returns evenly distributed values.
func (g *Gen) uniform(from, to float64) func() float32 {
	return func() float32 { return float32(from + (to-from)*g.rng.Float64()) }
}

func (g *Gen) name() string {
	g.nextID++
	return fmt.Sprintf("t%d", g.nextID)
}

// In adds scratch or state that holds values before the step.
func (g *Gen) In(k op.Kind, width int, fill func() float32) *op.Operand {
	name := g.name()
	var o *op.Operand
	if k == op.State {
		o = g.State(name, width, 0)
	} else {
		o = g.Scratch(name, k, width)
	}
	g.fill[o.ID] = fill
	return o
}

// Result adds scratch that only the step writes.
func (g *Gen) Result(k op.Kind, width int) *op.Operand { return g.Scratch(g.name(), k, width) }

// Param adds a weight vector.
func (g *Gen) Param(n int, fill func() float32) *op.Operand { return g.Matrix(tensor.F32, fill, n) }

// Matrix adds a weight of a storage type, whose values are rounded to the type. For a block type, fill gives the
// scales.
func (g *Gen) Matrix(typ tensor.Type, fill func() float32, shape ...int) *op.Operand {
	n := 1
	for _, d := range shape {
		n *= d
	}
	if typ.IsBlock() {
		return g.Weight(tensor.FromBytes(g.name(), typ, shape, g.blocks(typ, n, fill)), shape...)
	}
	f := make([]float32, n)
	for i := range f {
		f[i] = fill()
	}
	data := make([]byte, typ.Bytes(n))
	typ.Encode(data, f)
	return g.Weight(tensor.FromBytes(g.name(), typ, shape, data), shape...)
}

// blocks returns blocks of n elements: any bytes, but for scales and minima.
func (g *Gen) blocks(typ tensor.Type, n int, scale func() float32) []byte {
	data := make([]byte, typ.Bytes(n))
	for i := range data {
		data[i] = byte(g.rng.Uint32())
	}
	_, size := typ.Block()
	for block := 0; block < len(data); block += size {
		for _, at := range typ.Halves() {
			binary.LittleEndian.PutUint16(data[block+at:], tensor.FloatToF16(scale()))
		}
	}
	return data
}
