package expr

import (
	"errors"
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// set is the texts up to a length that an expression matches: the definition, by which each operation is a line.
type set map[string]bool

const longest = 6

// texts returns every text of a and b up to longest.
func texts() []string {
	list := []string{""}
	for i := 0; len(list[i]) < longest; i++ {
		list = append(list, list[i]+"a", list[i]+"b")
	}
	return list
}

func concat(x, y set) set {
	z := set{}
	for a := range x {
		for b := range y {
			if len(a)+len(b) <= longest {
				z[a+b] = true
			}
		}
	}
	return z
}

// random makes an expression and the set that it is.
func random(p *Pool, rng *rand.Rand, all []string, depth int) (ID, set) {
	if depth == 0 {
		text := []string{"a", "b", "", "ab"}[rng.IntN(4)]
		return p.Literal(text), set{text: true}
	}
	x, xs := random(p, rng, all, depth-1)
	y, ys := random(p, rng, all, depth-1)
	z := set{}
	switch rng.IntN(5) {
	case 0:
		return p.Concat(x, y), concat(xs, ys)
	case 1:
		for _, s := range all {
			if xs[s] || ys[s] {
				z[s] = true
			}
		}
		return p.Or(x, y), z
	case 2:
		for _, s := range all {
			if xs[s] && ys[s] {
				z[s] = true
			}
		}
		return p.And(x, y), z
	case 3:
		for _, s := range all {
			if !xs[s] {
				z[s] = true
			}
		}
		return p.Not(x), z
	}
	least, most := rng.IntN(3), rng.IntN(4)
	if most < least {
		most = Unbounded
	}
	power := set{"": true}
	for n := 0; n <= longest && (most == Unbounded || n <= most) || n <= least; n++ {
		if n >= least {
			for s := range power {
				z[s] = true
			}
		}
		power = concat(power, xs)
	}
	return p.Repeat(x, least, most), z
}

// Random expressions match the texts of the sets that they are by definition, are said to match nothing only if they do, and mean
// the same in another pool.
func TestAgainstDefinition(t *testing.T) {
	reference.Numbers(t)
	rng := rand.New(rand.NewPCG(1, 2))
	all := texts()
	nothing := 0
	for range 3000 {
		p := NewPool(1 << 14)
		p.Bytes(Of("ab"))
		e, want := random(p, rng, all, 1+rng.IntN(4))
		q := NewPool(1 << 14)
		other := q.Import(p, e, map[ID]ID{})
		some := false
		for _, s := range all {
			if p.Match(e, s) != want[s] || q.Match(other, s) != want[s] {
				t.Fatalf("%q: got %v and %v, want %v", s, p.Match(e, s), q.Match(other, s), want[s])
			}
			some = some || want[s]
		}
		if some && !p.Matches(e) {
			t.Fatal("said to match nothing")
		}
		if !p.Matches(e) {
			nothing++
		}
		if p.Err() != nil || q.Err() != nil {
			t.Fatal(p.Err(), q.Err())
		}
	}
	if nothing < 50 {
		t.Errorf("%d expressions matched nothing", nothing)
	}
}

// What matches nothing for a reason far along is found, and what matches only there too.
func TestMatchesFar(t *testing.T) {
	p := NewPool(1 << 16)
	a := p.Literal("a")
	for _, c := range []struct {
		e    ID
		want bool
	}{
		{p.And(p.Star(p.Repeat(a, 6, 6)), p.Star(p.Repeat(a, 35, 35)), p.Repeat(a, 1, Unbounded)), true},
		{p.And(p.Star(p.Repeat(a, 6, 6)), p.Star(p.Repeat(a, 35, 35)), p.Repeat(a, 1, 209)), false},
		{p.Concat(p.And(p.Star(a), p.Not(p.Star(a))), a), false},
		{p.And(p.Multiple(97, 0), p.Literal("96")), false},
		{p.And(p.Multiple(97, 1), p.Literal("19.4")), true},
	} {
		if got := p.Matches(c.e); got != c.want {
			t.Errorf("got %v, want %v", got, c.want)
		}
	}
}

// Every character is matched by the ranges that have it, and no bytes that are no character are.
func TestRunes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	edges := []rune{0, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff, 'a', 0x3ff, 0x10ff, 0x2ffff}
	for range 300 {
		low, high := edges[rng.IntN(len(edges))]+rune(rng.IntN(5))-2, edges[rng.IntN(len(edges))]+rune(rng.IntN(5))-2
		p := NewPool(1 << 12)
		e := p.Runes([2]rune{low, high})
		for _, edge := range append(edges, low, high) {
			for r := edge - 3; r <= edge+3; r++ {
				if !utf8.ValidRune(r) {
					continue
				}
				if got := p.Match(e, string(r)); got != (low <= r && r <= high) {
					t.Fatalf("%x in %x to %x: got %v", r, low, high, got)
				}
			}
		}
		for _, s := range []string{"", "\x80", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80", "\xf8\x88\x80\x80\x80"} {
			if p.Match(e, s) {
				t.Fatalf("%x to %x: %q matches", low, high, s)
			}
		}
	}
}

// Past its limit a pool says so, and goes on without harm.
func TestLimit(t *testing.T) {
	p := NewPool(50)
	e := p.Literal("a text with more than fifty different beginnings, and so as many expressions for what is left")
	if !errors.Is(p.Err(), ErrTooLarge) {
		t.Errorf("got %v", p.Err())
	}
	if p.Match(e, "a text") {
		t.Error("an expression that could not be made matches")
	}
}
