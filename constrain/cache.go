package constrain

import (
	"container/list"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/jsonschema"
)

// atOnce is how many grammars a cache compiles at once: the others wait, and the model goes on.
const atOnce = 2

// Cache keeps the grammars that were used last, by what they are compiled from, and the errors of those that cannot be compiled.
// It is safe for concurrent use; whoever asks for a grammar that another one is compiling waits for that one.
type Cache struct {
	most, bytes int
	compiling   chan struct{} // has one element for each compilation
	mu          sync.Mutex
	byUse       list.List // of *cached, the last used first
	by          map[[sha256.Size]byte]*list.Element
}

type cached struct {
	key  [sha256.Size]byte
	done chan struct{} // closed when g or err is there
	g    *Grammar
	err  error
}

// NewCache returns a cache of at most most grammars, at least one, which take about so many bytes together. Grammars grow while
// texts are read: those that are too much go when a grammar is asked for.
func NewCache(most, bytes int) *Cache {
	return &Cache{
		most: max(most, 1), bytes: bytes, compiling: make(chan struct{}, atOnce), by: map[[sha256.Size]byte]*list.Element{},
	}
}

// JSONSchema is the function of that name, or what it returned before.
func (c *Cache) JSONSchema(schema []byte, o jsonschema.Options) (*Grammar, error) {
	return c.Get(Source{Kind: OfSchema, Text: string(schema), Schema: o})
}

// JSONSchemaBetween is the function of that name, or what it returned before.
func (c *Cache) JSONSchemaBetween(before string, schema []byte, behind string, o jsonschema.Options) (*Grammar, error) {
	return c.Get(Source{Kind: OfBetween, Text: string(schema), Before: before, Behind: behind, Schema: o})
}

// Regexp is the function of that name, or what it returned before.
func (c *Cache) Regexp(pattern string) (*Grammar, error) {
	return c.Get(Source{Kind: OfRegexp, Text: pattern})
}

// GBNF is the function of that name, or what it returned before.
func (c *Cache) GBNF(text string) (*Grammar, error) { return c.Get(Source{Kind: OfGBNF, Text: text}) }

// Get compiles a source, or returns what it was compiled to before.
func (c *Cache) Get(source Source) (*Grammar, error) {
	return c.get(fmt.Sprintf("%q %+v", []string{string(source.Kind), source.Text, source.Before, source.Behind}, source.Schema), source.Compile)
}

func (c *Cache) get(source string, compile func() (*Grammar, error)) (*Grammar, error) {
	key := sha256.Sum256([]byte(source))
	c.mu.Lock()
	if e := c.by[key]; e != nil {
		c.byUse.MoveToFront(e)
		c.shrink()
		c.mu.Unlock()
		kept := e.Value.(*cached)
		<-kept.done
		return kept.g, kept.err
	}
	kept := &cached{key: key, done: make(chan struct{}), err: errInterrupted}
	c.by[key] = c.byUse.PushFront(kept)
	c.shrink()
	c.mu.Unlock()
	defer close(kept.done)
	c.compiling <- struct{}{}
	defer func() { <-c.compiling }()
	g, err := compile()
	c.mu.Lock()
	defer c.mu.Unlock()
	kept.g, kept.err = g, err
	c.shrink()
	return g, err
}

// errInterrupted is what those who wait get if the compiler panics.
var errInterrupted = errors.New("constrain: the compiler was interrupted")

// shrink drops the grammars that were used longest ago until the others are few and small enough. The last used one stays.
func (c *Cache) shrink() {
	n, bytes := 0, 0
	for e := c.byUse.Front(); e != nil; {
		next := e.Next()
		kept := e.Value.(*cached)
		n++
		if kept.g != nil {
			bytes += kept.g.machine.Memory()
		}
		if n > 1 && (n > c.most || bytes > c.bytes) {
			c.byUse.Remove(e)
			delete(c.by, kept.key)
		}
		e = next
	}
}
