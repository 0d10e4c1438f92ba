package constrain

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/jsonschema"
)

// hard is a schema of few bytes whose patterns have a state of their intersection for each set of places.
func hard() []byte {
	var patterns []string
	for n := 8; n < 16; n++ {
		patterns = append(patterns, fmt.Sprintf(`{"pattern":"(a|b)*a(a|b){%d}"}`, n))
	}
	return []byte(`{"type":"string","allOf":[` + strings.Join(patterns, ",") + `]}`)
}

// A schema that takes long to compile is refused for the work, long before it takes seconds.
func TestCompilingIsBounded(t *testing.T) {
	_, err := JSONSchema(hard(), jsonschema.Options{})
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "more work than the limit allows") {
		t.Errorf("got %v, want that it takes too much work", err)
	}
}

// A constraint whose grammar is too ambiguous ends with an error that says so, before a mask takes long.
func TestAmbiguousText(t *testing.T) {
	v := small(t)
	g, err := GBNF("root ::= root root | [a-z ] | [a-m ] | [ -~]")
	if err != nil {
		t.Fatal(err)
	}
	c := New(g, v)
	id := -1
	for i := range v.Size() {
		if string(v.Bytes(i)) == "a" {
			id = i
		}
	}
	for range 5000 {
		if _, err = c.Mask(); err == nil {
			_, err = c.Accept(id)
		}
		if err != nil {
			break
		}
	}
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "too ambiguous for the text so far") {
		t.Errorf("got %v, want that the grammar is too ambiguous", err)
	}
}

// What a source is compiled to, or why it cannot be, is found once, however many ask for it at once and later.
func TestCompiledOnce(t *testing.T) {
	c := NewCache(8, 1<<30)
	fault := errors.New("fault")
	var compiled, now, most atomic.Int32
	var group sync.WaitGroup
	for i := range 64 {
		group.Add(1)
		go func() {
			defer group.Done()
			_, err := c.get(fmt.Sprint(i%8), func() (*Grammar, error) {
				compiled.Add(1)
				n := now.Add(1)
				defer now.Add(-1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				for range 1000 {
					runtime.Gosched() // so that the others run
				}
				return nil, fault
			})
			if !errors.Is(err, fault) {
				t.Errorf("got %v, want the compiler's error", err)
			}
		}()
	}
	group.Wait()
	if compiled.Load() != 8 || most.Load() > atOnce {
		t.Errorf("compiled %d times, %d at once, want 8 and at most %d", compiled.Load(), most.Load(), atOnce)
	}
}

// Grammars grow while texts are read. The cache keeps no more of them than have room, and always the last one.
func TestCacheBytes(t *testing.T) {
	const room = 1 << 20
	c := NewCache(128, room)
	rng := rand.New(rand.NewPCG(1, 2))
	var last *Grammar
	grown := 0
	for i := range 6 {
		g, err := c.Regexp(fmt.Sprintf("(a|b)*a(a|b){%d}", 20+i))
		if err != nil {
			t.Fatal(err)
		}
		for g.machine.Memory() < room/2 {
			r, id := g.machine.Begin(g.machine.Start(false))
			text := make([]byte, 100)
			for n := range text {
				text[n] = "ab"[rng.IntN(2)]
			}
			r.Advance(id, text)
			if err := r.End(); err != nil {
				t.Fatal(err)
			}
		}
		grown += g.machine.Memory()
		last = g
	}
	if grown < 2*room {
		t.Fatalf("the grammars grew to %d bytes, too few to tell", grown)
	}
	g, err := c.Regexp("(a|b)*a(a|b){25}")
	if err != nil || g != last {
		t.Errorf("the last grammar went (%v)", err)
	}
	kept := 0
	for e := c.byUse.Front(); e != nil; e = e.Next() {
		kept += e.Value.(*cached).g.machine.Memory()
	}
	if kept > room || c.byUse.Len() < 1 || len(c.by) != c.byUse.Len() {
		t.Errorf("%d grammars of %d bytes are kept, want at most %d bytes", c.byUse.Len(), kept, room)
	}
}
