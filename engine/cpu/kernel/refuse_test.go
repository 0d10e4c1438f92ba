package kernel

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Sizes that no memory has are an error, also where a multiple of them is not a number of bytes. None is no memory.
func TestAllocRefuses(t *testing.T) {
	for _, n := range []int{math.MaxInt, math.MaxInt - 64, math.MaxInt/2 + 1, math.MaxInt/4 + 1, math.MaxInt / 4, -1, math.MinInt, math.MinInt / 4} {
		if f, err := Alloc(n); !errors.Is(err, ErrNoMemory) || f != nil {
			t.Errorf("Alloc(%d): %d numbers, %v", n, len(f), err)
		}
	}
	for _, n := range []int{math.MaxInt, math.MaxInt - 64, math.MaxInt - 256, -1, math.MinInt} {
		if b, err := AllocBytes(n); !errors.Is(err, ErrNoMemory) || b != nil {
			t.Errorf("AllocBytes(%d): %d bytes, %v", n, len(b), err)
		}
	}
	f, err := Alloc(0)
	b, also := AllocBytes(0)
	if errors.Join(err, also) != nil || f != nil || b != nil {
		t.Errorf("none: %v, %v, %v, %v", f, b, err, also)
	}
}

// Kernels have all types, activations and combinations that there are, and say so of others.
func TestCheck(t *testing.T) {
	named := func(v fmt.Stringer) bool { return !strings.Contains(v.String(), "(") }
	good := Product{Type: tensor.F16}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		is   func(i uint8) bool
		set  func(p *Product, i uint8)
	}{
		{"type", func(i uint8) bool {
			return slices.Contains(slices.Concat(tensor.Types, tensor.BlockTypes), tensor.Type(i))
		}, func(p *Product, i uint8) { p.Type = tensor.Type(i) }},
		{"Act", func(i uint8) bool { return named(op.Act(i)) }, func(p *Product, i uint8) { p.Act = op.Act(i) }},
		{"Combine", func(i uint8) bool { return named(op.Combine(i)) }, func(p *Product, i uint8) { p.Combine = op.Combine(i) }},
	} {
		for i := range math.MaxUint8 {
			p := good
			c.set(&p, uint8(i))
			var missing *MissingError
			if err := p.Check(); c.is(uint8(i)) != (err == nil) || err != nil && (!errors.As(err, &missing) || missing.Field != c.name) {
				t.Errorf("%s %d: %v", c.name, i, err)
			}
		}
	}
}
