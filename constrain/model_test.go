package constrain

import (
	"os"
	"strconv"
	"strings"
	"testing"

	oracle "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/jsonschema"
	"github.com/rwkv-gpu/rwkv-gpu/constrain/token"
	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// The embedded model speaks under each schema: what it says to the end parses and is valid. RWKV_CONSTRAINED is how many texts it
// makes, one for each schema without it.
func TestModelSpeaks(t *testing.T) {
	reference.Numbers(t)
	f, err := weights.Parse(demo.Name, demo.Weights())
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(f)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.ParseWorld(demo.Name, demo.Vocab())
	if err != nil {
		t.Fatal(err)
	}
	v, err := token.NewVocabulary(tok, m.Vocab, []int{0}, 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(m, &device.Device{}, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	texts := len(schemas)
	if s := os.Getenv("RWKV_CONSTRAINED"); s != "" {
		if texts, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	ended := 0
	for n := range texts {
		schema := schemas[n%len(schemas)]
		g, err := JSONSchema([]byte(schema), jsonschema.Options{Blanks: n % 3})
		if err != nil {
			t.Fatal(err)
		}
		text := speak(t, e, m, tok, New(g, v), uint64(n))
		if text == "" {
			continue
		}
		ended++
		instance, err := oracle.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %q: %v", schema, text, err)
		}
		if err := validator(t, schema).Validate(instance); err != nil {
			t.Errorf("%s: %q: %v", schema, text, err)
		}
	}
	t.Logf("%d of %d texts came to their end", ended, texts)
	if 2*ended < texts {
		t.Errorf("%d of %d texts came to their end", ended, texts)
	}
}

// speak returns what the model says under c, or nothing if it does not come to an end.
func speak(t *testing.T, e *engine.Engine, m *model.Model, tok tokenizer.Tokenizer, c *Constraint, seed uint64) string {
	t.Helper()
	seq, err := e.NewSeq(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer seq.Release()
	s, err := sample.New(sample.Params{Temperature: 0.8, TopP: 0.9, Seed: seed}, sample.NewVocabulary(m.Vocab, tok))
	if err != nil {
		t.Fatal(err)
	}
	s.SetConstraint(c)
	tokens, err := tokenizer.Encode(tok, "Tom said: ")
	if err != nil {
		t.Fatal(err)
	}
	var text []byte
	for range 150 {
		rows := []engine.Row{{Seq: seq, Tokens: tokens, Want: engine.WantDraw, Sampler: s}}
		if err := e.Pass(t.Context(), rows); err != nil || rows[0].Err != nil {
			t.Fatalf("behind %q: %v, %v", text, err, rows[0].Err)
		}
		id := rows[0].ID
		text = append(text, tok.Bytes(id)...)
		if id == 0 || s.Done() {
			return string(text)
		}
		tokens = []int{id}
	}
	return ""
}
