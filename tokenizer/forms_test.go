package tokenizer

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// game is a list of few tokens, as models of games have; its tokens by id are gameTokens.
const game = "1 'A' 1\n2 'B' 1\n3 'C ' 2\n4 '\\n' 1\n5 '○ ' 4\n6 b'\\xff\\x00' 2\n"

var gameTokens = []string{"", "A", "B", "C ", "\n", "○ ", "\xff\x00"}

// Every form of a vocabulary, with what editors and tools add to it, gives the same tokenizer.
func TestForms(t *testing.T) {
	const object = `{"1":"A","2":"B","3":"C ","4":"\n","5":"○ ","6":[255,0]}`
	const literals = "b'<s>'\nb'A'\nb\"B\"\nb'C '\nb'\\n'\nb'\\xe2\\x97\\x8b '\nb'\\xff\\x00'\n"
	for name, file := range map[string]string{
		"list":                                game,
		"list, byte order mark":               "\xef\xbb\xbf" + game,
		"list, no last line break":            strings.TrimSuffix(game, "\n"),
		"list, blank last line":               game + "\n",
		"list, blank last lines":              game + "\n  \n\t\n\n",
		"list, carriage returns":              strings.ReplaceAll(game, "\n", "\r\n") + "\r\n",
		"list, mark and carriage returns":     "\xef\xbb\xbf" + strings.ReplaceAll(game, "\n", "\r\n"),
		"list, all bytes literals":            strings.ReplaceAll(strings.ReplaceAll(game, "'A'", `b'\x41'`), "'○ '", `b'\xe2\x97\x8b '`),
		"list, other order":                   strings.Join(append(strings.SplitAfter(game, "\n")[3:6], strings.SplitAfter(game, "\n")[:3]...), ""),
		"object":                              object,
		"object, indented":                    strings.NewReplacer("{", "{\n    ", ",\"", ",\n    \"", "[", "[\n        ", "}", "\n}\n").Replace(object),
		"object, byte order mark":             "\xef\xbb\xbf" + object + "\r\n\r\n",
		"object, blank first line":            "\n \r\n" + object,
		"object, escapes":                     strings.ReplaceAll(object, "○", `\u25CB`),
		"object, lists of bytes":              strings.ReplaceAll(object, `"○ "`, "[226, 151, 139, 32]"),
		"object, id 0 empty":                  `{"0":"",` + object[1:],
		"object, id 0 with a name":            `{"0":"<|rwkv_tokenizer_end_of_text|>",` + object[1:],
		"literals":                            literals,
		"literals, id 0 empty":                strings.Replace(literals, "<s>", "", 1),
		"literals, id 0 <|endoftext|>":        strings.Replace(literals, "<s>", "<|endoftext|>", 1),
		"literals, str among them":            strings.Replace(literals, "b'\\xe2\\x97\\x8b '", "'○ '", 1),
		"literals, mark and carriage returns": "\xef\xbb\xbf" + strings.ReplaceAll(literals, "\n", "\r\n") + "\r\n",
	} {
		path := filepath.Join(t.TempDir(), "game.txt")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		tok, err := Open(path)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if tok.Size() != len(gameTokens) || tok.Name() != "game" {
			t.Errorf("%s: %s of %d ids", name, tok.Name(), tok.Size())
		}
		for id, want := range gameTokens {
			if got := tok.Bytes(id); string(got) != want {
				t.Errorf("%s: id %d: want %q, got %q", name, id, want, got)
			}
		}
		if got := encode(tok, "ABC ○ \n\xff\x00"); !slices.Equal(got, []int{1, 2, 3, 5, 4, 6}) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestFormFaults(t *testing.T) {
	for _, c := range []struct {
		file, want string
	}{
		{"", "tokens: want at least one, got none"},
		{"\xef\xbb\xbf\n\n", "tokens: want at least one, got none"},
		{"\xff\xfe1\x00 \x00", "encoding: want UTF-8, got the mark of UTF-16 at the start"},
		{"\xfe\xff\x001", "encoding: want UTF-8, got the mark of UTF-16 at the start"},
		{"1 'A' 1\n\n2 'B' 1\n", `line 2: id: want a number from 1 to 1048575, got ""`},
		{"0 '<s>' 3\n1 'A' 1\n", "line 1: id: want a number from 1"},
		{`{"1":"A","2":"A"}`, `token 2: want each token once, got "A", which id 1 has`},
		{"{\"1\":\"A\",\n\"1\":\"B\"}", "line 2: id: want each id once, got 1 twice"},
		{`{"0":"A"}`, "token 0: want none or a name such as <s>, since id 0 ends a document"},
		{`{"1":"A","x":"B"}`, `line 1: id: want a number from 0 to 1048575, got "x"`},
		{`{"1":"A","1048576":"B"}`, `id: want a number from 0 to 1048575, got "1048576"`},
		{`{"1":7}`, `token: want a string or a list of bytes, got "7"`},
		{`{"1":null,"2":{}}`, `token: want a string or a list of bytes, got "{}"`},
		{`{"1":[65,256]}`, "token: want bytes from 0 to 255, got 256"},
		{`{"1":[65,-1]}`, "token: want bytes from 0 to 255, got -1"},
		{`{"1":"\ud800"}`, `token: want Unicode characters, got "\"\\ud800\""`},
		{"{\"1\":\"A\",\n\"2\":\"B\"", "line 2: JSON: want a valid document"},
		{`{"1":"A"}{`, "JSON: want one object, got more behind it"},
		{`{"1":"A",}`, "JSON: want a valid document"},
		{"b'<s>'\nb'A' 1\n", `line 2: token: want nothing after the literal, as on the first line, got " 1"`},
		{"b'<s>'\nb'A\n", "line 2: token: want a closing '"},
		{"b'<s>'\n1 'A' 1\n", "line 2: token: want a Python literal"},
		{"b'A'\nb'B'\n", "token 0: want none or a name such as <s>"},
		{"b'<s>'\nb'A'\nb'A'\n", `token 2: want each token once, got "A", which id 1 has`},
	} {
		_, err := ParseWorld("v.txt", []byte(c.file))
		var e *Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), "v.txt: ") || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: want %q, got %v", c.file, c.want, err)
		}
	}
}

// JSON that is none of the kinds says which are wanted.
func TestOtherJSON(t *testing.T) {
	for _, file := range []string{"{}", `{"A":1,"B":2}`, `{"version":"1.0"}`} {
		path := filepath.Join(t.TempDir(), "vocab.json")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "vocab.json: model: want an object (a tokenizer.json), or tokens by id") {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// A list without all bytes cannot spell some texts. Such a text is an error at the byte where the longest tokens lead.
// All others are spelled by the longest token at each place.
func TestMissingBytes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		alphabet := 2 + rng.IntN(5)
		word := func() []byte {
			w := make([]byte, 1+rng.IntN(4))
			for i := range w {
				w[i] = byte(rng.IntN(alphabet))
			}
			return w
		}
		tokens := make([][]byte, 1, 9)
		for range 1 + rng.IntN(8) {
			if w := word(); !slices.ContainsFunc(tokens, func(o []byte) bool { return bytes.Equal(o, w) }) {
				tokens = append(tokens, w)
			}
		}
		w, err := NewWorld("few", tokens)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			var text []byte
			for range rng.IntN(6) {
				text = append(text, word()...)
			}
			want, at := []int{7}, 0
			for at < len(text) {
				best := 0
				for id, token := range tokens {
					if len(token) > len(tokens[best]) && bytes.HasPrefix(text[at:], token) {
						best = id
					}
				}
				if best == 0 {
					break
				}
				want, at = append(want, best), at+len(tokens[best])
			}
			got, err := w.AppendEncode([]int{7}, text)
			var e *TextError
			switch {
			case at == len(text):
				if err != nil || !slices.Equal(got, want) {
					t.Fatalf("%q with %q: want %v, got %v (%v)", text, tokens, want, got, err)
				}
			case !errors.As(err, &e) || e.Offset != at || e.Byte != text[at] || !slices.Equal(got, []int{7}):
				t.Fatalf("%q with %q: want an error at %d, got %v (%v)", text, tokens, at, got, err)
			case err.Error() != fmt.Sprintf("byte %+q at offset %d: the vocabulary few has no token for it", text[at:at+1], at):
				t.Fatal(err)
			}
		}
	}
}

// A byte order mark and blank lines at the end do a tokenizer.json no harm.
func TestMarkBeforeBPE(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "bpe.json"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "small.json")
	if err := os.WriteFile(path, slices.Concat([]byte("\xef\xbb\xbf"), data, []byte("\r\n\r\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	tok, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	want := smallBPE(t)
	if got := encode(tok, "the banana's"); !slices.Equal(got, encode(want, "the banana's")) || tok.Size() != want.Size() {
		t.Errorf("%v of %d ids", got, tok.Size())
	}
}
