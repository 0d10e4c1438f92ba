package grammar

import (
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
)

// end stands behind the last symbol of each production.
const end Symbol = math.MaxInt32

// Grammar is a grammar of which every symbol matches something. It does not change.
type Grammar struct {
	pool      *expr.Pool
	terminals []expr.ID
	first     [2]Symbol // the start symbols: without and with the builder's lead
	// The productions, one behind the other, each with end behind it. A dot is an index: what stands there comes next.
	symbols      []Symbol
	left         []Symbol  // by dot: the nonterminal of its production
	starts       [][]int32 // by nonterminal: the first dots of its productions
	nullable     []bool    // by nonterminal
	nullableTerm []bool    // by terminal
}

// Size returns the number of symbols in all productions.
func (g *Grammar) Size() int { return len(g.symbols) }

// memory returns how many bytes g takes, about.
func (g *Grammar) memory() int { return g.pool.Memory() + 16*len(g.symbols) + 32*len(g.starts) }

func (g *Grammar) findNullable(b *Builder) {
	g.nullable = make([]bool, len(g.starts))
	g.nullableTerm = make([]bool, len(g.terminals))
	for t, e := range g.terminals {
		g.nullableTerm[t] = b.Pool.Nullable(e)
	}
	users := make([][]int32, len(g.starts)) // by nonterminal: first dots of productions that have it
	var queue []int32
	for s := range g.starts {
		for _, dot := range g.starts[s] {
			queue = append(queue, dot)
			for d := dot; g.symbols[d] != end; d++ {
				if n := g.symbols[d]; !n.isTerminal() {
					users[n] = append(users[n], dot)
				}
			}
		}
	}
	for len(queue) > 0 {
		dot := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		d := dot
		for g.symbols[d] != end && g.isNullable(g.symbols[d]) {
			d++
		}
		if s := g.left[dot]; g.symbols[d] == end && !g.nullable[s] {
			g.nullable[s] = true
			queue = append(queue, users[s]...)
		}
	}
}

func (g *Grammar) isNullable(s Symbol) bool {
	if s.isTerminal() {
		return g.nullableTerm[^s]
	}
	return g.nullable[s]
}
