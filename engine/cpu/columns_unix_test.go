//go:build unix

package cpu

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// mostlyZeros makes nine of ten rows of ffn.key zeros, and so what ReLU2 makes of them.
func mostlyZeros(name string, data []byte) {
	const row = 2 * 256 // bytes
	if strings.HasSuffix(name, "ffn.key.weight") {
		for i := range len(data) / row {
			if i%10 != 3 {
				clear(data[i*row : (i+1)*row])
			}
		}
	}
}

// noZeros makes all products of ffn.key positive: those of the same positive vector with positive numbers.
func noZeros(name string, data []byte) {
	switch {
	case strings.HasSuffix(name, "ln2.weight"):
		clear(data)
	case strings.HasSuffix(name, "ffn.key.weight"), strings.HasSuffix(name, "ln2.bias"):
		for i := 1; i < len(data); i += 2 {
			data[i] &= 0x7f
		}
	case strings.HasSuffix(name, "ffn.x_k"):
		clear(data)
	}
}

// byColumns returns the products of an executor that may read columns.
func byColumns(e *Exec) (found []*product) {
	for _, s := range e.steps {
		if p, ok := s.(*product); ok && p.columns != nil {
			found = append(found, p)
		}
	}
	return found
}

// columnsMade returns how many of an executor's products may read columns, and how many of these have written them all.
func columnsMade(e *Exec) (all, made int) {
	for _, p := range byColumns(e) {
		all++
		if p.columns.missing.Load() == 0 {
			made++
		}
	}
	return all, made
}

var columnSizes = op.Sizes{Slots: 1, Rows: 32, Seqs: 1, Outs: 32}

func thirtyTokens() []int {
	tokens := make([]int, 30)
	for i := range tokens {
		tokens[i] = 67 * i % 2048
	}
	return tokens
}

// A matrix by columns gives the bits of the one by rows: token by token, in chunks that read columns and in chunks that
// read rows, before the columns are written and after. Only a pass of few rows writes them, one matrix at a time.
func TestColumns(t *testing.T) {
	_, m := writtenOf(t, 1024, mostlyZeros)
	tokens := thirtyTokens()
	eachLevel(t, func(t *testing.T, level string) {
		var want []float32
		for _, threads := range []int{1, 2, 4} {
			e := at(level, threads)(t, m.Program, columnSizes, 0).(*Exec)
			rows := logits(t, e, tokens, len(tokens))
			if want == nil {
				want = rows
			}
			for i := range enough + 3 {
				made := max(i-enough, 0)
				if all, got := columnsMade(e); all != 2 || got != made {
					t.Fatalf("after %d passes of few rows %d of %d products have columns, want %d of 2", i, got, all, made)
				}
				if got := logits(t, e, tokens[:1], 1); !sameBits(got, want[:len(got)]) {
					t.Errorf("%d threads, pass %d: other logits", threads, i)
				}
			}
			for _, chunk := range []int{30, 1, mostSparse, mostSparse + 1, 2, 30} {
				if got := logits(t, e, tokens, chunk); !sameBits(got, want) {
					t.Errorf("%d threads, chunks of %d: other logits", threads, chunk)
				}
			}
		}
	})
}

// Columns are neither written nor read where vectors have few zeros, where there is no memory to spare, or of types that
// have blocks.
func TestNoColumns(t *testing.T) {
	_, dense := writtenOf(t, 1024, noZeros)
	e := at("", 2)(t, dense.Program, columnSizes, 0).(*Exec)
	logits(t, e, thirtyTokens(), 1)
	if all, made := columnsMade(e); all != 2 || made != 0 {
		t.Errorf("vectors without zeros: %d of %d products have columns, want 0 of 2", made, all)
	}
	for _, p := range byColumns(e) {
		if p.columns.filled < 0.99 {
			t.Errorf("%g of the vectors' elements are said to be other numbers, want all", p.columns.filled)
		}
	}
	_, zeros := writtenOf(t, 1024, mostlyZeros)
	for spare, want := range map[int]int{0: 0, SpareUse(zeros.Program, 2) - 1: 0, SpareUse(zeros.Program, 2): 2} {
		e, err := New(zeros.Program, Options{Sizes: columnSizes, Threads: 2, Spare: spare})
		if err != nil {
			t.Fatal(err)
		}
		logits(t, e, thirtyTokens(), 1)
		if all, made := columnsMade(e); all != want || made != want {
			t.Errorf("%d bytes to spare: %d of %d products have columns, want %d of %d", spare, made, all, want, want)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Passes read columns while their vectors are mostly zeros, and rows while they are not, be the columns written or not.
func TestUseOfColumns(t *testing.T) {
	writes := false
	c := &columns{x: kernel.Rows{First: make([]float32, mostSparse*100), Stride: 100}, k: 100, writes: &writes, filled: 1}
	c.missing.Store(1)
	pass := func(n, filled int) bool {
		writes = false
		for i := range c.x.First {
			c.x.First[i] = 0
			if i%100 < filled {
				c.x.First[i] = -1
			}
		}
		used := c.use(n)
		c.see(n)
		return used
	}
	until := func(n, filled int, want bool) {
		t.Helper()
		for range 8 * lookEvery {
			if pass(n, filled) == want {
				return
			}
		}
		t.Fatalf("%d vectors with %d %% other numbers: want use of columns %t", n, filled, want)
	}
	for i := range enough {
		if pass(1, 10) {
			t.Errorf("pass %d uses columns", i)
		}
	}
	until(1, 10, true)
	if writes = true; c.use(1) {
		t.Error("two products write columns in one pass")
	}
	c.missing.Store(0)
	if writes = true; !c.use(1) {
		t.Error("columns that are written are not read, since another product writes")
	}
	until(2, 10, true)
	if pass(mostSparse+1, 10) {
		t.Error("columns are read for many vectors")
	}
	until(1, 90, false)
	until(2, 20, true)
	until(2, 40, false)
	until(3, 10, true)
	until(2, 100, false)
}

// Tiles are as wide as they may be for all workers to have two, and are none where they are fewer than the workers.
func TestTileFor(t *testing.T) {
	for _, c := range []struct{ m, workers, want int }{
		{768, 1, 192}, {768, 2, 192}, {768, 3, 128}, {768, 4, 64}, {768, 12, 64}, {768, 13, 0}, {4096, 8, 192}, {4096, 64, 64},
		{100, 1, 64}, {64, 1, 64}, {64, 2, 0},
	} {
		if got := tileFor(c.m, c.workers); got != c.want {
			t.Errorf("%d rows, %d workers: tiles of %d rows, want %d", c.m, c.workers, got, c.want)
		}
	}
}

// Columns of which a pass that ended early wrote some are written by the next one.
func TestColumnsAfterFailure(t *testing.T) {
	_, m := writtenOf(t, 1024, mostlyZeros)
	want := logits(t, at("", 2)(t, m.Program, columnSizes, 0), []int{7, 8, 9}, 1)
	e := at("", 1)(t, m.Program, columnSizes, 0).(*Exec)
	first := slices.IndexFunc(e.steps, func(s step) bool { p, ok := s.(*product); return ok && p.columns != nil })
	stop := errors.New("stop")
	p := e.steps[first].(*product)
	for _, each := range byColumns(e) {
		each.columns.filled, each.columns.passes = 0, enough
	}
	e.tasks[first].job = failing{p, stop}
	if err := e.Forward(oneToken()); !errors.Is(err, stop) || !p.columns.made[0] || p.columns.made[1] {
		t.Fatalf("want an error when a tile is written, got %v, tiles %v", err, p.columns.made)
	}
	e.tasks[first].job = p
	if got := logits(t, e, []int{7, 8, 9}, 1); !sameBits(got, want) {
		t.Error("other logits after a pass that ended early")
	}
	if all, made := columnsMade(e); made != all {
		t.Errorf("%d of %d products have columns", made, all)
	}
}

// failing is a product that does one unit and fails.
type failing struct {
	*product
	err error
}

func (f failing) do(w *worker, from, _ int) error {
	return errors.Join(f.product.do(w, from, from+1), f.err)
}
