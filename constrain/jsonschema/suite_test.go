package jsonschema

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/grammar"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/token"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// textReader reads JSON values as texts in compact form.
type textReader struct {
	r *grammar.Run
	// verbatim has numbers as the instance writes them: in draft 4, 1.0 is no integer.
	verbatim bool
	ranks    map[string]int
}

func compileRun(schema []byte, o Options) (*grammar.Run, int32, error) {
	b, start, err := Compile(schema, o)
	if err != nil {
		return nil, 0, err
	}
	g, err := b.Grammar(start)
	if err != nil {
		return nil, 0, err
	}
	m := grammar.NewMachine(g, token.Pure, 1<<26)
	r, id := m.Begin(m.Start(false))
	return r, id, nil
}

// write returns the states after v in compact form, for every order of the members of its objects that is allowed.
func (t *textReader) write(states map[int32]bool, v *value) (map[int32]bool, error) {
	switch v.kind {
	case isArray:
		states = t.text(states, "[")
		for i, item := range v.items {
			if i > 0 {
				states = t.text(states, ",")
			}
			var err error
			if states, err = t.write(states, item); err != nil {
				return nil, err
			}
		}
		return t.text(states, "]"), nil
	case isObject:
		return t.members(t.text(states, "{"), v, v.keys, true)
	case isString:
		return t.text(states, `"`+inside(v.text)+`"`), nil
	case isNumber:
		d, err := v.decimal()
		if t.verbatim {
			return t.text(states, v.text), err
		}
		return t.text(states, d.String()), err
	}
	return t.text(states, v.describe()), nil
}

// maxOrders is the most members of an object that are tried in every order. More come in the order in which the schema names them.
const maxOrders = 5

func (t *textReader) members(states map[int32]bool, v *value, left []string, first bool) (map[int32]bool, error) {
	if len(left) == 0 || len(states) == 0 {
		return t.text(states, "}"), nil
	}
	if first && len(left) > maxOrders {
		left = slices.Clone(left)
		slices.SortStableFunc(left, func(a, b string) int { return cmp.Compare(t.rank(a), t.rank(b)) })
	}
	out := map[int32]bool{}
	for i, k := range left {
		next := states
		if !first {
			next = t.text(next, ",")
		}
		next = t.text(next, `"`+inside(k)+`":`)
		if len(next) == 0 {
			continue
		}
		next, err := t.write(next, v.fields[k])
		if err != nil {
			return nil, err
		}
		rest := append(append([]string(nil), left[:i]...), left[i+1:]...)
		if next, err = t.members(next, v, rest, false); err != nil {
			return nil, err
		}
		for s := range next {
			out[s] = true
		}
		if len(v.keys) > maxOrders {
			break
		}
	}
	return out, nil
}

func (t *textReader) rank(name string) int {
	if n, ok := t.ranks[name]; ok {
		return n
	}
	return len(t.ranks)
}

// rankNames notes the names of members in schema v in the order in which they come.
func rankNames(v *value, ranks map[string]int) {
	for _, item := range v.items {
		rankNames(item, ranks)
	}
	var names []string
	if p := v.fields["properties"]; p != nil {
		names = append(names, p.keys...)
	}
	if r := v.fields["required"]; r != nil {
		for _, item := range r.items {
			names = append(names, item.text)
		}
	}
	for _, name := range names {
		if _, ok := ranks[name]; !ok {
			ranks[name] = len(ranks)
		}
	}
	for _, k := range v.keys {
		rankNames(v.fields[k], ranks)
	}
}

func (t *textReader) text(states map[int32]bool, text string) map[int32]bool {
	out := map[int32]bool{}
	for s := range states {
		if next, n := t.r.Advance(s, []byte(text)); n == len(text) {
			out[next] = true
		}
	}
	return out
}

// allows reports whether an instance may be written in compact form, its members in some order.
func allows(r *grammar.Run, start int32, schema, instance []byte) (bool, error) {
	v, err := parse(instance)
	if err != nil {
		return false, err
	}
	t := &textReader{r: r, verbatim: bytes.Contains(schema, []byte("draft-04")), ranks: map[string]int{}}
	s, err := parse(schema)
	if err != nil {
		return false, err
	}
	rankNames(s, t.ranks)
	states, err := t.write(map[int32]bool{start: true}, v)
	for s := range states {
		if r.Accepting(s) {
			return true, err
		}
	}
	return false, err
}

type instance struct {
	Description string          `json:"description"`
	Data        json.RawMessage `json:"data"`
	Valid       bool            `json:"valid"`
}

type suiteCase struct {
	Description string          `json:"description"`
	Schema      json.RawMessage `json:"schema"`
	Tests       []instance      `json:"tests"`
}

// hold compiles a schema and compares what it allows with what is valid. It returns why the schema was refused, if it was.
func hold(t *testing.T, name string, schema []byte, tests []instance, o Options) error {
	r, start, err := compileRun(schema, o)
	if errors.Is(err, grammar.ErrEmpty) {
		for _, test := range tests {
			if test.Valid {
				t.Errorf("%s: said to match nothing; %s is valid", name, test.Data)
			}
		}
		return nil
	}
	if err != nil {
		if e := (*Error)(nil); !errors.As(err, &e) {
			t.Errorf("%s: %v is no error with a pointer", name, err)
		}
		return err
	}
	for _, test := range tests {
		got, err := allows(r, start, schema, test.Data)
		if err != nil {
			t.Errorf("%s: %s: %v", name, test.Description, err)
		}
		if test.Valid && !got && strings.Contains(name, "A-label") {
			continue // a host name with "xn--", which is never written
		}
		if got != test.Valid {
			t.Errorf("%s: %s: %s: allowed %v, valid %v", name, test.Description, test.Data, got, test.Valid)
		}
	}
	if err := r.End(); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return nil
}

// The official suite: every schema is refused with a pointer, or its instances are allowed if and only if they are valid.
func TestOfficialSuite(t *testing.T) {
	reference.Numbers(t)
	root := reference.Shared(t, "json-schema", "test-suite", "tests")
	accepted, refused := 0, 0
	for _, draft := range []string{"draft2020-12", "draft7"} {
		for _, kind := range []struct {
			pattern string
			o       Options
		}{{"*.json", Options{AnnotateFormats: true}}, {"optional/*.json", Options{AnnotateFormats: true}}, {"optional/format/*.json", Options{}}, {"optional/content.json", Options{}}} {
			paths, err := filepath.Glob(filepath.Join(root, draft, kind.pattern))
			if err != nil || len(paths) == 0 && kind.pattern != "optional/content.json" {
				t.Fatalf("%s: %v, %v", kind.pattern, paths, err)
			}
			for _, path := range paths {
				if kind.o.AnnotateFormats && strings.HasSuffix(path, "/optional/content.json") {
					continue // it wants assertions, and is read with them
				}
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				var cases []suiteCase
				if err := json.Unmarshal(data, &cases); err != nil {
					t.Fatal(err)
				}
				for _, c := range cases {
					schema := c.Schema
					if draft == "draft7" && bytes.HasPrefix(schema, []byte("{")) && !bytes.Contains(schema, []byte("$schema")) {
						schema = []byte(`{"$schema":"http://json-schema.org/draft-07/schema#"`)
						if rest := bytes.TrimSpace(c.Schema[1:]); rest[0] != '}' {
							schema = append(schema, ',')
						}
						schema = append(schema, c.Schema[1:]...)
					}
					name := fmt.Sprintf("%s/%s: %s", draft, strings.TrimSuffix(filepath.Base(path), ".json"), c.Description)
					if err := hold(t, name, schema, c.Tests, kind.o); err != nil {
						refused++
						t.Logf("%s: %v", name, err)
						continue
					}
					accepted++
				}
			}
		}
	}
	t.Logf("%d schemas accepted, %d refused", accepted, refused)
	if accepted < 650 {
		t.Errorf("want 650 schemas accepted, got %d", accepted)
	}
}

// MaskBench's schemas with their instances: at least three of four are accepted, and those hold exactly.
func TestMaskBench(t *testing.T) {
	reference.Numbers(t)
	data, err := os.ReadFile(reference.Shared(t, "json-schema", "maskbench-small.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	accepted, all := 0, 0
	for line := range bytes.Lines(data) {
		var c struct {
			Name   string
			Schema json.RawMessage
			Tests  []instance
		}
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		all++
		if err := hold(t, c.Name, c.Schema, c.Tests, Options{}); err != nil {
			t.Logf("%s: %v", c.Name, err)
			continue
		}
		accepted++
	}
	t.Logf("%d of %d schemas accepted", accepted, all)
	if 4*accepted < 3*all {
		t.Errorf("want at least 75 %% of the schemas accepted, got %d of %d", accepted, all)
	}
}
