package constrain

import (
	"container/list"
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/jsonschema"
)

// Cache keeps the grammars that were used last, by what they are compiled from. It is safe for concurrent use; whoever asks for
// a grammar that another one is compiling may compile it too.
type Cache struct {
	most  int
	mu    sync.Mutex
	byUse list.List // of cached, the last used first
	by    map[[sha256.Size]byte]*list.Element
}

type cached struct {
	key [sha256.Size]byte
	g   *Grammar
}

// NewCache returns a cache of at most most grammars, at least one.
func NewCache(most int) *Cache {
	return &Cache{most: max(most, 1), by: map[[sha256.Size]byte]*list.Element{}}
}

// JSONSchema is the function of that name, or what it returned before.
func (c *Cache) JSONSchema(schema []byte, o jsonschema.Options) (*Grammar, error) {
	return c.get(fmt.Sprintf("schema %d %v ", o.Blanks, o.AnnotateFormats)+string(schema), func() (*Grammar, error) {
		return JSONSchema(schema, o)
	})
}

// JSONSchemaBetween is the function of that name, or what it returned before.
func (c *Cache) JSONSchemaBetween(before string, schema []byte, behind string, o jsonschema.Options) (*Grammar, error) {
	return c.get(fmt.Sprintf("between %q %q %d %v ", before, behind, o.Blanks, o.AnnotateFormats)+string(schema), func() (*Grammar, error) {
		return JSONSchemaBetween(before, schema, behind, o)
	})
}

// Regexp is the function of that name, or what it returned before.
func (c *Cache) Regexp(pattern string) (*Grammar, error) {
	return c.get("regexp "+pattern, func() (*Grammar, error) { return Regexp(pattern) })
}

// GBNF is the function of that name, or what it returned before.
func (c *Cache) GBNF(text string) (*Grammar, error) {
	return c.get("gbnf "+text, func() (*Grammar, error) { return GBNF(text) })
}

func (c *Cache) get(source string, compile func() (*Grammar, error)) (*Grammar, error) {
	key := sha256.Sum256([]byte(source))
	c.mu.Lock()
	e := c.by[key]
	if e != nil {
		c.byUse.MoveToFront(e)
	}
	c.mu.Unlock()
	if e != nil {
		return e.Value.(cached).g, nil
	}
	g, err := compile()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.by[key]; e != nil {
		return e.Value.(cached).g, nil
	}
	c.by[key] = c.byUse.PushFront(cached{key, g})
	if c.byUse.Len() > c.most {
		old := c.byUse.Remove(c.byUse.Back()).(cached)
		delete(c.by, old.key)
	}
	return g, nil
}
