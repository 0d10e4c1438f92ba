package jsonschema

import (
	"errors"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/grammar"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/regex"
	"strings"
)

// Options are choices that schemas leave open.
type Options struct {
	// Blanks is the most blanks, tabs and line ends that may stand at each place where JSON allows them; 0 is the compact form.
	Blanks int
	// AnnotateFormats says that format is a remark, as the drafts have it by default; otherwise strings have to have the format.
	AnnotateFormats bool
}

// MaxBlanks is the largest Options.Blanks.
const MaxBlanks = 1000

// MaxSize is the most bytes of a schema.
const MaxSize = 4 << 20

type compiler struct {
	options Options
	root    *value
	refs    *references
	b       *grammar.Builder
	p       *expr.Pool
	numbers *numbers

	char    expr.ID // a character of a string, written in the one way of regex.JSON
	anyText expr.ID // the inside of any string

	schemas  []*value // by number
	numberOf map[*value]int32
	literals map[*value]goal    // of values, the schemas that have them alone
	known    map[string]*values // by goal
	making   map[string]bool
	schema   map[*value]*values
	formats  map[string]expr.ID
	open     map[*value]bool // schemas that are being read
	meetings int             // of two arrays or objects so far

	symbols map[string]grammar.Symbol // by goal
	queue   []goal
	signs   signs
	cases   bool // reports whether it matters which schemas of anyOf match, as it does to unevaluated members
}

// maxExpressions bounds the expressions of a schema.
const maxExpressions = 1 << 18

// Compile reads a schema and returns a builder with a symbol that matches the JSON texts of its instances. An error is an *Error,
// which names the place in the schema.
func Compile(schema []byte, o Options) (*grammar.Builder, grammar.Symbol, error) {
	if o.Blanks < 0 || o.Blanks > MaxBlanks {
		return nil, 0, &Error{Want: "0 to 1000 blanks at most", Got: "other options"}
	}
	if len(schema) > MaxSize {
		return nil, 0, tooLarge("", "more than 4 MiB")
	}
	root, err := parse(schema)
	if err != nil {
		return nil, 0, err
	}
	if err := checkDraft(root); err != nil {
		return nil, 0, err
	}
	c := newCompiler(root, o)
	if c.refs, err = findReferences(root); err != nil {
		return nil, 0, err
	}
	symbol, err := c.compile()
	if err != nil {
		return nil, 0, err
	}
	return c.b, symbol, nil
}

// checkDraft wants a schema that names its draft to name one whose words are known.
func checkDraft(root *value) error {
	s := root.fields["$schema"]
	if s == nil || s.kind == isString && drafts[strings.TrimSuffix(strings.TrimPrefix(s.text, "https"), "#")] ||
		s.kind == isString && drafts[strings.TrimSuffix(strings.TrimPrefix(s.text, "http"), "#")] {
		return nil
	}
	return unsupported(s, "drafts 2020-12, 2019-09, 7, 6 and 4 are")
}

var drafts = map[string]bool{
	"://json-schema.org/draft/2020-12/schema": true, "://json-schema.org/draft/2019-09/schema": true,
	"://json-schema.org/draft-07/schema": true, "://json-schema.org/draft-06/schema": true,
	"://json-schema.org/draft-04/schema": true, "://json-schema.org/schema": true,
}

func newCompiler(root *value, o Options) *compiler {
	b := grammar.NewBuilder(maxExpressions)
	c := &compiler{
		options: o, root: root, b: b, p: b.Pool, numbers: newNumbers(b.Pool),
		schemas: make([]*value, never+1), numberOf: map[*value]int32{},
		literals: map[*value]goal{}, known: map[string]*values{}, making: map[string]bool{},
		schema: map[*value]*values{}, open: map[*value]bool{}, symbols: map[string]grammar.Symbol{}, formats: map[string]expr.ID{},
	}
	c.char, c.anyText = regex.AnyJSON(c.p)
	c.signs = c.newSigns()
	c.cases = mentions(root, "unevaluatedProperties") || mentions(root, "unevaluatedItems")
	return c
}

// mentions reports whether v has a member of the name somewhere.
func mentions(v *value, name string) bool {
	for _, item := range v.items {
		if mentions(item, name) {
			return true
		}
	}
	for k, f := range v.fields {
		if k == name || mentions(f, name) {
			return true
		}
	}
	return false
}

func (c *compiler) compile() (grammar.Symbol, error) {
	start := c.symbol(c.goalOf(c.root))
	for len(c.queue) > 0 {
		g := c.queue[len(c.queue)-1]
		c.queue = c.queue[:len(c.queue)-1]
		v, err := c.valuesOf(g)
		if err == nil {
			err = c.emit(c.symbols[g.key()], v)
		}
		if err == nil {
			err = c.b.Err()
		}
		if err != nil {
			var e *Error
			if errors.As(err, &e) {
				return 0, e
			}
			at := c.root
			if len(g.list) > 0 {
				at = c.schemas[max(g.list[0], -g.list[0])]
			}
			if at == nil {
				at = c.root
			}
			return 0, tooLarge(at.at, err.Error())
		}
	}
	return start, nil
}
