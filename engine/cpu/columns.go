package cpu

import (
	"sync/atomic"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// columns is a matrix by columns beside the one in a file, for a product whose vectors may be mostly zeros, such as
// those of ReLU2. Passes look at the vectors. Once few of their elements are other numbers, a pass of few vectors writes
// the tiles, and later ones read them. A pass of more vectors reads the rows in the file.
type columns struct {
	rows   []byte      // in the file
	x      kernel.Rows // vectors of k elements
	k      int
	writes *bool // of the executor: reports whether the pass writes a matrix

	tile    int    // rows
	made    []bool // reports which tiles are written
	missing atomic.Int32

	passes int
	look   bool    // reports whether the pass looks at its vectors
	filled float64 // which part of the vectors is not zero, of what passes have seen lately
	idle   int     // passes since one read the rows; restful: the rows are given back
}

const (
	mostSparse = 4   // vectors of a pass that reads columns
	mostFilled = 0.6 // which part of one vector may be other numbers where a product reads columns
	lookEvery  = 8   // passes
	enough     = 16  // passes before columns are written: the rest of a shorter text would not gain what writing costs
	restful    = 64  // passes after which the memory of rows that nobody reads is given back
)

// tiles are the rows that a tile may have, the best first.
var tiles = []int{kernel.MostTile, 128, 64}

// tileFor returns the rows of the tiles of m rows for so many workers: so few that all have two tiles or more. It returns
// 0 if even the smallest tiles are fewer than the workers.
func tileFor(m, workers int) int {
	for _, tile := range tiles {
		if pieces(m, tile) >= 2*workers {
			return tile
		}
	}
	if last := tiles[len(tiles)-1]; pieces(m, last) >= workers {
		return last
	}
	return 0
}

// sparse reports which products of a step have vectors that may be mostly zeros, and a plain matrix that is in a file
// and has tiles for so many workers. Such a product is alone in its step.
type sparse map[*op.Part]bool

func findSparse(prog *op.Program, workers int) sparse {
	zeros := map[*op.Operand]bool{}
	found := sparse{}
	for _, s := range prog.Steps {
		o, ok := s.Op.(*op.MatMul)
		if !ok {
			continue
		}
		for i := range o.Parts {
			if p := &o.Parts[i]; p.Act == op.ReLU2 && p.Combine == op.Set {
				zeros[p.Y.Of] = true
			}
		}
		p := &o.Parts[0]
		if len(o.Parts) == 1 && zeros[p.X.Of] && !p.W.Source.Type.IsBlock() && tileFor(p.Y.Len, workers) > 0 && inFile(p.W.Source) {
			found[p] = true
		}
	}
	return found
}

// columnBytes returns how many bytes of memory a matrix takes by columns: whole lines of the cache.
func columnBytes(p *op.Part) int {
	return (kernel.ColumnBytes(p.W.Source.Type, p.Y.Len, p.X.Len) + 63) &^ 63
}

func (s sparse) bytes() (n int) {
	for p := range s {
		n += columnBytes(p)
	}
	return n
}

// columnsOf returns the columns of a part that has some, and their room. Else it returns none.
func (c *compiler) columnsOf(p *op.Part, x kernel.Rows) (*columns, []byte) {
	if !c.sparse[p] {
		return nil, nil
	}
	n := columnBytes(p)
	room := c.room[:n:n]
	c.room = c.room[n:]
	made := &columns{
		rows: c.weights.stored[p.W.ID], x: x, k: p.X.Len, writes: &c.writes,
		tile: tileFor(p.Y.Len, len(c.pool.workers)), filled: 1,
	}
	made.made = make([]bool, pieces(p.Y.Len, made.tile))
	made.missing.Store(int32(len(made.made)))
	return made, room
}

// use reports whether the next pass, of n vectors, reads columns. A pass writes at most one matrix, so that none takes
// much longer than the others.
func (c *columns) use(n int) bool {
	if c.look = n <= mostSparse && c.passes%lookEvery == 0; n <= mostSparse {
		c.passes++
	}
	switch { // each of n vectors reads its columns for itself, while all share what they read of the rows
	case n > mostSparse || c.passes <= enough || float64(n)*c.filled > mostFilled:
	case c.missing.Load() == 0:
		if c.idle++; c.idle == restful {
			kernel.GiveBack(c.rows)
		}
		return true
	case !*c.writes:
		*c.writes = true
		return true
	}
	c.idle = 0
	return false
}

// see looks at n vectors, if the pass does that.
func (c *columns) see(n int) {
	if !c.look {
		return
	}
	filled := 0
	for t := range n {
		for _, v := range c.x.First[t*c.x.Stride:][:c.k] {
			if v != 0 {
				filled++
			}
		}
	}
	c.filled = (c.filled + float64(filled)/float64(n*c.k)) / 2
}

// write writes the tiles [from, to) that are missing. Whoever writes the last one gives the memory of the rows back.
func (c *columns) write(level kernel.Level, x *part, from, to int) error {
	for i := from; i < to; i++ {
		if c.made[i] {
			continue
		}
		if err := level.ToColumns(x.kernel, i*c.tile, min((i+1)*c.tile, x.m)); err != nil {
			return err
		}
		c.made[i] = true
		if c.missing.Add(-1) == 0 {
			c.idle = restful
			kernel.GiveBack(c.rows)
		}
	}
	return nil
}
