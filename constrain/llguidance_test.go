package constrain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/jsonschema"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/token"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// foreign is a grammar with texts, and the masks that llguidance has before each of their tokens and behind the last:
// testdata/masks.py writes it.
type foreign struct {
	Schema json.RawMessage
	Regex  string
	GBNF   string
	Texts  []struct {
		Text  string
		IDs   []int
		Masks [][2]any // number of ids and their digest; of one id, the id
	}
}

func (f *foreign) grammar(t *testing.T) *Grammar {
	t.Helper()
	var g *Grammar
	var err error
	switch {
	case f.Schema != nil:
		g, err = JSONSchema(f.Schema, jsonschema.Options{})
	case f.GBNF != "":
		g, err = GBNF(f.GBNF)
	default:
		g, err = Regexp(f.Regex)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// What both read alike, the package and llguidance allow alike, to the last id of every mask.
func TestLLGuidance(t *testing.T) {
	reference.Numbers(t)
	for name, vocabulary := range map[string]func(testing.TB) *token.Vocabulary{"demo": small, "world": world} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", "llguidance_"+name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var cases []foreign
			if err := json.Unmarshal(data, &cases); err != nil {
				t.Fatal(err)
			}
			v := vocabulary(t)
			compared := 0
			for _, c := range cases {
				g := c.grammar(t)
				for _, text := range c.Texts {
					k := New(g, v)
					for n, want := range text.Masks {
						mask, err := k.Mask()
						if err != nil {
							t.Fatal(err)
						}
						if fault := differs(v, ids(mask), int(want[0].(float64)), want[1].(string)); fault != "" {
							t.Errorf("%s%s%s: %s: before token %d: %s", c.Schema, c.Regex, c.GBNF, text.Text, n, fault)
						}
						compared++
						if n == len(text.IDs) {
							break
						}
						if _, err := k.Accept(text.IDs[n]); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			if compared < 300 {
				t.Errorf("%d masks compared", compared)
			}
		})
	}
}

// differs tells how a mask of ids differs from llguidance's. Where the text that comes next is forced, that has the first token of
// it alone: then all of the ids have to begin such a text.
func differs(v *token.Vocabulary, list []int, count int, want string) string {
	if count != 1 {
		if got := digest(list); got != want {
			return fmt.Sprintf("%d ids with digest %s, llguidance has %d with %s", len(list), got, count, want)
		}
		return ""
	}
	id, err := strconv.Atoi(want)
	if err != nil || !slices.Contains(list, id) {
		return fmt.Sprintf("ids %v, llguidance has %s", list, want)
	}
	text := v.Bytes(id)
	for _, other := range list {
		if b := v.Bytes(other); !bytes.HasPrefix(b, text) && !bytes.HasPrefix(text, b) || (len(b) == 0) != (len(text) == 0) {
			return fmt.Sprintf("id %d (%q), llguidance has %q alone", other, b, text)
		}
	}
	return ""
}

func digest(list []int) string {
	words := make([]string, len(list))
	for i, id := range list {
		words[i] = strconv.Itoa(id)
	}
	sum := sha256.Sum256([]byte(strings.Join(words, ",")))
	return hex.EncodeToString(sum[:])[:16]
}
