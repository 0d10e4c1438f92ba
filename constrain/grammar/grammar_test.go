package grammar

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// plain is one byte that is no quote.
func plain(p *expr.Pool) expr.ID { return p.Bytes(expr.Of(`"`).Not()) }

func machine(t testing.TB, b *Builder, start Symbol, budget int) *Machine {
	t.Helper()
	g, err := b.Grammar(start)
	if err != nil {
		t.Fatal(err)
	}
	return NewMachine(g, plain, budget)
}

// reads tells how much of text m allows, and whether the text may end there.
func reads(m *Machine, text string) (n int, accepting bool) {
	s := m.Start(false)
	for {
		piece := text[n:min(n+256, len(text))]
		r, id := m.Begin(s)
		id, more := r.Advance(id, []byte(piece))
		s, n, accepting = r.State(id), n+more, r.Accepting(id)
		if r.End() != nil || more < len(piece) || n == len(text) {
			return n, accepting
		}
	}
}

// cyk is the textbook's recogniser of words by any grammar, cubic in the text: which nonterminals match which spans, until
// nothing is added any more. Terminals are single bytes.
func cyk(rules map[byte][]string, start byte, text string) bool {
	type span struct {
		s    byte
		i, j int
	}
	known := map[span]bool{}
	var matches func(right string, i, j int) bool
	matches = func(right string, i, j int) bool {
		if right == "" {
			return i == j
		}
		s := right[0]
		if s >= 'a' {
			return i < j && text[i] == s && matches(right[1:], i+1, j)
		}
		for k := i; k <= j; k++ {
			if known[span{s, i, k}] && matches(right[1:], k, j) {
				return true
			}
		}
		return false
	}
	for more := true; more; {
		more = false
		for s, rights := range rules {
			for _, right := range rights {
				for i := 0; i <= len(text); i++ {
					for j := i; j <= len(text); j++ {
						if !known[span{s, i, j}] && matches(right, i, j) {
							known[span{s, i, j}], more = true, true
						}
					}
				}
			}
		}
	}
	return known[span{start, 0, len(text)}]
}

// Random grammars, with left recursion, right recursion, cycles, empty productions and ambiguity: a text is read if and only if
// the textbook's recogniser takes it, and what is a beginning of some short text that matches is never refused.
func TestAgainstTextbook(t *testing.T) {
	reference.Numbers(t)
	rng := rand.New(rand.NewPCG(1, 2))
	var texts []string
	for n := 0; n <= 5; n++ {
		for v := range 1 << n {
			text := ""
			for i := range n {
				text += string("ab"[v>>i&1])
			}
			texts = append(texts, text)
		}
	}
	matched, empty := 0, 0
	for range 400 {
		rules := map[byte][]string{}
		for s := byte('A'); s <= 'D'; s++ {
			for range 1 + rng.IntN(3) {
				right := ""
				for range rng.IntN(4) {
					right += string("abABCD"[rng.IntN(6)])
				}
				rules[s] = append(rules[s], right)
			}
		}
		b := NewBuilder(1000)
		symbols := map[byte]Symbol{}
		for s := byte('A'); s <= 'D'; s++ {
			symbols[s] = b.Nonterminal()
		}
		for _, c := range "ab" {
			symbols[byte(c)] = b.Terminal(b.Pool.Literal(string(c)))
		}
		for s, rights := range rules {
			for _, right := range rights {
				var out []Symbol
				for i := range len(right) {
					out = append(out, symbols[right[i]])
				}
				b.Add(symbols[s], out...)
			}
		}
		g, err := b.Grammar(symbols['A'])
		if errors.Is(err, ErrEmpty) {
			empty++
			for _, text := range texts {
				if cyk(rules, 'A', text) {
					t.Fatalf("%v: said to match nothing, matches %q", rules, text)
				}
			}
			continue
		}
		m := NewMachine(g, plain, 1<<24)
		begins := map[string]bool{}
		for _, text := range texts {
			want := cyk(rules, 'A', text)
			n, got := reads(m, text)
			if got != want {
				t.Fatalf("%v: %q: got %v, want %v", rules, text, got, want)
			}
			if want {
				matched++
				for i := range len(text) + 1 {
					begins[text[:i]] = true
				}
			}
			if n < len(text) && begins[text[:n+1]] {
				t.Fatalf("%v: %q refused at %d, though it begins a text that matches", rules, text, n)
			}
		}
	}
	if matched < 500 || empty == 0 {
		t.Errorf("%d texts matched, %d grammars were empty: too few to tell", matched, empty)
	}
}

// list is a grammar of a list of numbers in brackets, left-recursive, right-recursive or both.
func list(b *Builder, left, right bool) Symbol {
	number := b.Terminal(b.Pool.Repeat(b.Pool.Bytes(expr.Range('0', '9')), 1, expr.Unbounded))
	comma, open, close := b.Terminal(b.Pool.Literal(",")), b.Terminal(b.Pool.Literal("[")), b.Terminal(b.Pool.Literal("]"))
	value, items := b.Nonterminal(), b.Nonterminal()
	b.Add(value, number)
	b.Add(value, open, items, close)
	b.Add(items, value)
	if left {
		b.Add(items, items, comma, value)
	}
	if right {
		b.Add(items, value, comma, items)
	}
	return value
}

// A list of any length written with left recursion visits a bounded number of states; with right recursion each element's
// state is new, but costs no more than the one before.
func TestLongLists(t *testing.T) {
	reference.Numbers(t)
	text := "[" + strings.Repeat("17,", 20000) + "4]"
	for _, form := range []struct{ left, right bool }{{true, false}, {false, true}} {
		b := NewBuilder(1000)
		m := machine(t, b, list(b, form.left, form.right), 1<<28)
		if n, ok := reads(m, text); !ok {
			t.Fatalf("%+v: refused at %d", form, n)
		}
		if form.left && len(m.run.states) > 30 {
			t.Errorf("left recursion: %d states", len(m.run.states))
		}
		items := 0
		for _, r := range m.run.rows {
			items += len(r.items)
		}
		if most := 20 * len(m.run.rows); items > most {
			t.Errorf("%+v: %d items in %d rows", form, items, len(m.run.rows))
		}
	}
}

// A machine that may keep little begins anew again and again, and its readers do not notice.
func TestBudget(t *testing.T) {
	b := NewBuilder(1000)
	start := list(b, false, true)
	small := machine(t, b, start, 20000)
	b = NewBuilder(1000)
	large := machine(t, b, list(b, false, true), 1<<28)
	text := "[" + strings.Repeat("[3,17],", 40) + "4]]"
	s, l := small.Start(false), large.Start(false)
	runs := map[uint64]bool{}
	for i := range len(text) {
		r, id := small.Begin(s)
		runs[r.Serial] = true
		id, n := r.Advance(id, []byte{text[i]})
		s = r.State(id)
		ends := n == 1 && r.Accepting(id)
		if err := r.End(); err != nil {
			t.Fatal(err)
		}
		r, id = large.Begin(l)
		id, want := r.Advance(id, []byte{text[i]})
		l = r.State(id)
		if n != want || ends != (want == 1 && r.Accepting(id)) {
			t.Fatalf("byte %d: allowed %d, want %d", i, n, want)
		}
		if err := r.End(); err != nil {
			t.Fatal(err)
		}
	}
	if len(runs) < 3 {
		t.Errorf("%d runs: the budget was never met", len(runs))
	}
}

// An expression whose automaton has a state for each set of places is an error that says so, not a lack of memory.
func TestTooLarge(t *testing.T) {
	reference.Numbers(t)
	b := NewBuilder(1000)
	p := b.Pool
	any := p.Bytes(expr.Of("ab"))
	e := p.Concat(p.Star(any), p.Literal("a"), p.Repeat(any, 40, 40))
	m := machine(t, b, b.Terminal(e), 1<<20)
	r, id := m.Begin(m.Start(false))
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100000 {
		id = r.Step(id, "ab"[rng.IntN(2)])
	}
	if err := r.End(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%d states: got %v", len(r.states), err)
	}
}

// The work for one more byte of an ambiguous text grows with the text. It ends with an error before it takes long, and other
// readers of the machine go on.
func TestAmbiguous(t *testing.T) {
	reference.Numbers(t)
	b := NewBuilder(1000)
	s := b.Nonterminal()
	b.Add(s, s, s)
	b.Add(s, b.Terminal(b.Pool.Literal("a")))
	m := machine(t, b, s, 1<<28)
	state, n := m.Start(false), 0
	var early State
	var err error
	for ; n < 5000 && err == nil; n++ {
		r, id := m.Begin(state)
		next, _ := r.Advance(id, []byte(strings.Repeat("a", 32)))
		if state = r.State(next); n == 2 {
			early = state
		}
		err = r.End()
	}
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "too ambiguous for the text so far") {
		t.Fatalf("%d bytes: got %v, want that the grammar is too ambiguous", 32*n, err)
	}
	r, id := m.Begin(early)
	if next, _ := r.Advance(id, []byte("aaa")); next == Dead || !r.Accepting(next) {
		t.Error("another reader cannot go on")
	}
	if err := r.End(); err != nil {
		t.Error(err)
	}
}
