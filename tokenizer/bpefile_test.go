package tokenizer

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// editBPE returns the small file with its parsed form changed by edit.
func editBPE(tb testing.TB, edit func(top, model map[string]any)) []byte {
	tb.Helper()
	var top map[string]any
	readJSON(tb, "testdata/bpe.json", &top)
	edit(top, top["model"].(map[string]any))
	data, err := json.Marshal(top)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestMalformedBPE(t *testing.T) {
	type object = map[string]any
	set := func(key string, value any) func(object, object) { return func(top, _ object) { top[key] = value } }
	model := func(key string, value any) func(object, object) { return func(_, model object) { model[key] = value } }
	in := func(part, key string, value any) func(object, object) {
		return func(top, _ object) { top[part].(object)[key] = value }
	}
	added := func(key string, value any) func(object, object) {
		return func(top, _ object) { top["added_tokens"].([]any)[1].(object)[key] = value }
	}
	token := func(s string, id any) func(object, object) {
		return func(_, model object) { model["vocab"].(object)[s] = id }
	}
	for _, c := range []struct {
		name  string
		edit  func(top, model object)
		field string
		text  string
	}{
		{"no model", set("model", nil), "model", "want an object (a tokenizer.json), or tokens by id, got none"},
		{"model a list", set("model", []int{1}), "model", "want an object, got array"},
		{"model type", model("type", "WordPiece"), "model.type", `want "BPE", got "WordPiece"`},
		{"type a number", model("type", 5), "model.type", "want a string, got number"},
		{"dropout", model("dropout", 0.5), "model.dropout", "got 0.5"},
		{"prefix", model("continuing_subword_prefix", "##"), "model.continuing_subword_prefix", `got "##"`},
		{"suffix", model("end_of_word_suffix", "</w>"), "model.end_of_word_suffix", `got "</w>"`},
		{"byte fallback", model("byte_fallback", true), "model.byte_fallback", "want false"},
		{"ignored merges", model("ignore_merges", true), "model.ignore_merges", "want false"},
		{"normalizer", set("normalizer", object{"type": "NFKC"}), "normalizer.type", `want none or "NFC", got "NFKC"`},
		{"no pre-tokenizer", set("pre_tokenizer", nil), "pre_tokenizer", "got none"},
		{"pre-tokenizer", in("pre_tokenizer", "type", "Whitespace\n\x1b"), "pre_tokenizer.type", `got "Whitespace\n\x1b"`},
		{"prefix space", in("pre_tokenizer", "add_prefix_space", true), "pre_tokenizer.add_prefix_space", "want false"},
		{"no pattern", in("pre_tokenizer", "use_regex", false), "pre_tokenizer.use_regex", "want true"},
		{"no vocabulary", model("vocab", nil), "model.vocab", `want a token for every byte of UTF-8, got none for \x00`},
		{"vocabulary a list", model("vocab", []int{}), "model.vocab", "want an object, got array"},
		{"no token of a byte", func(_, m object) { delete(m["vocab"].(object), "A") }, "model.vocab", `got none for \x41, 'A'`},
		{"negative id", token("zz", -1), "model.vocab", "want ids from 0 to 1048575, got -1"},
		{"huge id", token("zz", 1<<20), "model.vocab", "got 1048576"},
		{"very huge id", token("zz", 1e30), "model.vocab", "want a whole number"},
		{"fraction", token("zz", 1.5), "model.vocab", "want a whole number, got number 1.5"},
		{"id there twice", token("zz", 3), "model.vocab", `want each id once, got 3 for "`},
		{"empty token", token("", 600), "model.vocab", "want 1 to 1024 bytes, got 0 at id 600"},
		{"long token", token(strings.Repeat("a", MaxToken+1), 600), "model.vocab", "got 1025 at id 600"},
		{"merge of nothing", model("merges", []any{"a"}), "model.merges[0]", `want "LEFT RIGHT" or ["LEFT", "RIGHT"], got "\"a\""`},
		{"merge of three", model("merges", []any{"t h", "a b c"}), "model.merges[1]", "want"},
		{"list of three", model("merges", []any{[]string{"a", "b", "c"}}), "model.merges[0]", "want"},
		{"merge a number", model("merges", []any{1}), "model.merges[0]", "want"},
		{"merge null", model("merges", []any{nil}), "model.merges[0]", "want"},
		{"merge of no token", model("merges", []any{"qq x"}), "model.merges[0]", `want tokens of model.vocab, got "qq"`},
		{"merge to no token", model("merges", []any{"q q"}), "model.merges[0]", `got "qq"`},
		{"merge twice", model("merges", []any{"t h", "t h"}), "model.merges[1]", "which model.merges[0] is"},
		{"merges an object", model("merges", object{}), "model.merges", "want an array, got object"},
		{"added twice", added("content", "<|endoftext|>"), "added_tokens[1]", "which added_tokens[0] is"},
		{"added empty", added("content", ""), "added_tokens[1]", "want 1 to 1024 bytes, got 0"},
		{"added long", added("content", strings.Repeat("é", MaxToken)), "added_tokens[1]", "got 2048"},
		{"added to an id", added("id", 5), "added_tokens[1]", "want each id once, got 5"},
		{"added id", added("id", -5), "added_tokens[1]", "got -5"},
		{"added strips", added("lstrip", true), "added_tokens[1]", "want single_word, lstrip and rstrip false"},
		{"added a string", set("added_tokens", []string{"x"}), "added_tokens", "want an object, got string"},
		{"many added", set("added_tokens", make([]object, maxAdded+1)), "added_tokens", "want at most 4096, got 4097"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseBPE("v.txt", editBPE(t, c.edit))
			checkBPEFault(t, err, c.field, c.text)
		})
	}
	good, err := os.ReadFile("testdata/bpe.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{
		"empty": "", "cut": string(good[:len(good)/2]), "more": string(good) + "{", "deep": strings.Repeat(`{"model":`, 20000), "list": "[]", "raw": "\n\n{\x00",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseBPE("v.txt", []byte(data))
			checkBPEFault(t, err, "JSON", "want ")
		})
	}
	_, err = ParseBPE("v.txt", make([]byte, maxJSON+1))
	checkBPEFault(t, err, "size", "want at most 16777216 bytes")
}

func checkBPEFault(t *testing.T, err error, field, text string) {
	t.Helper()
	var fault *Error
	if !errors.As(err, &fault) {
		t.Fatalf("got %v, want an *Error", err)
	}
	if fault.File != "v.txt" || !strings.HasPrefix(fault.Field, field) || !strings.Contains(err.Error(), text) {
		t.Errorf("got %q, want v.txt, %s and %q", err, field, text)
	}
	oneLine(t, err)
}

// Merges as lists, no normalizer and no added tokens are other ways to write a file.
func TestAcceptedBPE(t *testing.T) {
	small := smallBPE(t)
	other, err := ParseBPE("lists", editBPE(t, func(top, model map[string]any) {
		var lists []any
		for _, m := range model["merges"].([]any) {
			lists = append(lists, strings.Split(m.(string), " "))
		}
		model["merges"] = lists
		top["normalizer"] = nil
		delete(top, "added_tokens")
	}))
	if err != nil {
		t.Fatal(err)
	}
	const text = "the bananas' 中文 12"
	if got, want := encode(other, text), encode(small, text); !slices.Equal(got, want) || other.Name() != "lists" {
		t.Errorf("%s: got %v, want %v", other.Name(), got, want)
	}
	if got := string(Decode(other, encode(other, "e\u0301<|endoftext|>"))); got != "e\u0301<|endoftext|>" || slices.Contains(encode(other, "<|endoftext|>"), 0) {
		t.Errorf("without normalizer and added tokens: got %q", got)
	}
}

func FuzzParseBPE(f *testing.F) {
	good, err := os.ReadFile("testdata/bpe.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{string(good), `{"model":{"type":"BPE","vocab":{"a":1},"merges":["a b"]},"pre_tokenizer":{"type":"ByteLevel"}}`, `{"model":{}}`, `{"added_tokens":[{"id":1e9}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := ParseBPE("fuzz", data)
		if err != nil {
			oneLine(t, err)
			return
		}
		for _, id := range encode(tok, "the e\u0301 \xff<|endoftext|>") {
			if id < 0 || id >= tok.Size() {
				t.Fatalf("id %d of %d", id, tok.Size())
			}
		}
	})
}

func FuzzBPE(f *testing.F) {
	tok, o := smallBPE(f), oracleOf(f, "testdata/bpe.json")
	for _, s := range []string{"", "the bananas'll 12 \n\n x", "e\u0301\u0323", "a<|endoftext|>  b", "\xff\xe4\xb8中", " \t \u3000a"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := appendEncode(tok, nil, text)
		if utf8.Valid(text) && longestRun(text) <= maxNonStarters {
			if want := o.encode(string(text)); !slices.Equal(got, want) {
				t.Fatalf("%q: got %v, want %v", text, got, want)
			}
		}
	})
}
