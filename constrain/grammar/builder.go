package grammar

import (
	"errors"
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
)

// Symbol is a nonterminal, or a terminal: then it is negative.
type Symbol int32

func terminal(t int32) Symbol { return Symbol(^t) }

func (s Symbol) isTerminal() bool { return s < 0 }

// ErrEmpty reports a grammar that no text matches.
var ErrEmpty = errors.New("no text matches")

// ErrTooLarge reports a grammar, or a state of reading, past the limits.
var ErrTooLarge = expr.ErrTooLarge

// MaxSymbols is how many symbols all productions of a grammar may have together.
const MaxSymbols = 1 << 18

// Builder collects a grammar.
type Builder struct {
	Pool *expr.Pool
	// Lead is what may stand before a text that is read from Machine.Start(true) on, as line ends behind other text.
	Lead      expr.ID
	terminals []expr.ID
	index     map[expr.ID]Symbol
	rules     [][][]Symbol // of each nonterminal, its productions
	symbols   int
}

// maxCompiling bounds the steps of work of a builder's pool: some tenths of a second.
const maxCompiling = 1 << 24

// NewBuilder returns an empty builder with a pool of at most limit expressions, whose work is bounded.
func NewBuilder(limit int) *Builder {
	b := &Builder{Pool: expr.NewPool(limit), index: map[expr.ID]Symbol{}, Lead: expr.Epsilon}
	b.Pool.Allow(maxCompiling)
	return b
}

// Terminal returns the symbol that matches what e does.
func (b *Builder) Terminal(e expr.ID) Symbol {
	if s, ok := b.index[e]; ok {
		return s
	}
	s := terminal(int32(len(b.terminals)))
	b.terminals = append(b.terminals, e)
	b.index[e] = s
	b.symbols++
	return s
}

// Nonterminal returns a new symbol without productions.
func (b *Builder) Nonterminal() Symbol {
	b.rules = append(b.rules, nil)
	b.symbols++
	return Symbol(len(b.rules) - 1)
}

// Add adds the production of nonterminal s by right, which may be empty.
func (b *Builder) Add(s Symbol, right ...Symbol) {
	b.symbols += len(right) + 1
	if b.symbols <= MaxSymbols {
		b.rules[s] = append(b.rules[s], right)
	}
}

// Err returns ErrTooLarge once productions or expressions are past their limits, else nil.
func (b *Builder) Err() error {
	if b.symbols > MaxSymbols {
		return fmt.Errorf("%w (%d symbols)", ErrTooLarge, MaxSymbols)
	}
	return b.Pool.Err()
}

// Grammar returns the grammar of the texts that start matches, or an error: ErrTooLarge or ErrEmpty. The builder's pool
// belongs to the grammar then.
func (b *Builder) Grammar(start Symbol) (*Grammar, error) {
	if err := b.Err(); err != nil {
		return nil, err
	}
	first, second := b.Nonterminal(), b.Nonterminal()
	b.Add(first, start)
	b.Add(second, b.Terminal(b.Lead), start)
	g := &Grammar{pool: b.Pool, terminals: b.terminals, first: [2]Symbol{first, second}}
	productive := b.productive()
	if err := b.Err(); err != nil {
		return nil, err
	}
	if !productive[first] {
		return nil, ErrEmpty
	}
	g.starts = make([][]int32, len(b.rules))
	for s, rules := range b.rules {
		for _, right := range rules {
			if !b.all(right, productive) {
				continue
			}
			g.starts[s] = append(g.starts[s], int32(len(g.symbols)))
			for i := 0; i <= len(right); i++ {
				g.left = append(g.left, Symbol(s))
			}
			g.symbols = append(append(g.symbols, right...), end)
		}
	}
	g.findNullable(b)
	return g, nil
}

// productive finds the nonterminals that match some text, in time linear in the grammar: each production waits for its
// symbols one at a time.
func (b *Builder) productive() []bool {
	type production struct {
		left  Symbol
		right []Symbol
	}
	known := make([]bool, len(b.rules))
	waiting := make([][]production, len(b.rules))
	var queue []production
	for s, rules := range b.rules {
		for _, right := range rules {
			queue = append(queue, production{Symbol(s), right})
		}
	}
	matches := make([]bool, len(b.terminals))
	for t, e := range b.terminals {
		matches[t] = b.Pool.Matches(e)
	}
	for len(queue) > 0 {
		p := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if known[p.left] {
			continue
		}
		for len(p.right) > 0 && (p.right[0].isTerminal() && matches[^p.right[0]] || !p.right[0].isTerminal() && known[p.right[0]]) {
			p.right = p.right[1:]
		}
		switch {
		case len(p.right) == 0:
			known[p.left] = true
			queue = append(queue, waiting[p.left]...)
			waiting[p.left] = nil
		case !p.right[0].isTerminal():
			waiting[p.right[0]] = append(waiting[p.right[0]], p)
		}
	}
	return known
}

func (b *Builder) all(symbols []Symbol, productive []bool) bool {
	for _, s := range symbols {
		if s.isTerminal() && !b.Pool.Matches(b.terminals[^s]) || !s.isTerminal() && !productive[s] {
			return false
		}
	}
	return true
}
