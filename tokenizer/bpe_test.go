package tokenizer

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

func openBPE(tb testing.TB, path string) *BPE {
	tb.Helper()
	t, err := Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	return t.(*BPE)
}

func smallBPE(tb testing.TB) *BPE {
	tb.Helper()
	return openBPE(tb, "testdata/bpe.json")
}

func TestBPEVectors(t *testing.T) {
	tok := openBPE(t, reference.Shared(t, "vocab", "20B_tokenizer.json"))
	var want struct {
		Cases []struct {
			Category, Text string
			IDs            []int
			Decoded        *string
		}
	}
	readJSON(t, reference.Shared(t, "vectors", "tokenizer", "20b_vectors.json"), &want)
	if len(want.Cases) != 246 || tok.Size() != 50277 || tok.Name() != "20B_tokenizer" {
		t.Fatalf("%d cases, size %d, name %q; want 246, 50277, 20B_tokenizer", len(want.Cases), tok.Size(), tok.Name())
	}
	for round := range 2 { // the second from the cache
		for i, c := range want.Cases {
			if got := encode(tok, c.Text); !slices.Equal(got, c.IDs) {
				t.Errorf("round %d, %d %s: encode %q: got %v, want %v", round, i, c.Category, c.Text, got, c.IDs)
			}
			text := c.Text
			if c.Decoded != nil {
				text = *c.Decoded
			}
			if got := Text(Decode(tok, c.IDs)); got != text {
				t.Errorf("%d %s: decode %v: got %q, want %q", i, c.Category, c.IDs, got, text)
			}
		}
	}
}

// bpeOracle encodes by the definition, with string comparisons and package regexp; it reads the file for itself.
type bpeOracle struct {
	vocab map[string]int
	ranks map[[2]string]int
	raw   *regexp.Regexp
	norm  *regexp.Regexp
	added map[string]int
}

func oracleOf(tb testing.TB, path string) *bpeOracle {
	var f struct {
		Added []struct {
			ID         int
			Content    string
			Normalized bool
		} `json:"added_tokens"`
		Model struct {
			Vocab  map[string]int
			Merges []string
		}
	}
	readJSON(tb, path, &f)
	o := &bpeOracle{vocab: f.Model.Vocab, ranks: map[[2]string]int{}, added: map[string]int{}}
	for i, m := range f.Model.Merges {
		p := strings.Split(m, " ")
		o.ranks[[2]string{p[0], p[1]}] = i
	}
	var lists [2][]string
	for _, a := range f.Added {
		k := 0
		if a.Normalized {
			k = 1
		}
		lists[k] = append(lists[k], regexp.QuoteMeta(a.Content))
		o.added[a.Content] = a.ID
	}
	o.raw = regexp.MustCompile(strings.Join(lists[0], "|"))
	o.norm = regexp.MustCompile(strings.Join(lists[1], "|"))
	o.raw.Longest()
	o.norm.Longest()
	return o
}

// between calls part for what re does not match and match for what it does, in order.
func between(re *regexp.Regexp, s string, match, part func(string)) {
	for at := re.FindStringIndex(s); at != nil; at = re.FindStringIndex(s) {
		part(s[:at[0]])
		match(s[at[0]:at[1]])
		s = s[at[1]:]
	}
	part(s)
}

var (
	oracleWord  = regexp.MustCompile(`^(?:'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\t\n\v\f\r\x{85}\p{Z}\p{L}\p{N}]+)`)
	oracleBlank = regexp.MustCompile(`^[\t\n\v\f\r\x{85}\p{Z}]+`)
)

// encode returns the ids of s, which is valid UTF-8.
func (o *bpeOracle) encode(s string) (ids []int) {
	match := func(s string) { ids = append(ids, o.added[s]) }
	between(o.raw, s, match, func(s string) {
		between(o.norm, norm.NFC.String(s), match, func(s string) {
			for s != "" {
				word := oracleWord.FindString(s)
				if word == "" {
					word = oracleBlank.FindString(s)
					if _, n := utf8.DecodeLastRuneInString(word); len(word) < len(s) && n < len(word) {
						word = word[:len(word)-n]
					}
				}
				ids = append(ids, o.word(word)...)
				s = s[len(word):]
			}
		})
	})
	return ids
}

func (o *bpeOracle) word(s string) (ids []int) {
	var parts []string
	for _, c := range []byte(s) {
		r := rune(c)
		switch { // the table of GPT-2 by its ranges
		case c <= 0x20:
			r = 0x100 + rune(c)
		case c >= 0x7f && c <= 0xa0:
			r = 0x121 + rune(c) - 0x7f
		case c == 0xad:
			r = 0x143
		}
		parts = append(parts, string(r))
	}
	for {
		best, at := math.MaxInt, -1
		for i := 0; i+1 < len(parts); i++ {
			if rank, ok := o.ranks[[2]string{parts[i], parts[i+1]}]; ok && rank < best {
				best, at = rank, i
			}
		}
		if at < 0 {
			break
		}
		parts[at] += parts[at+1]
		parts = slices.Delete(parts, at+1, at+2)
	}
	for _, p := range parts {
		ids = append(ids, o.vocab[p])
	}
	return ids
}

// bpeSalad is text of pieces that matter to the rules.
func bpeSalad(r *rand.Rand) string {
	pieces := []string{" ", "  ", "\n", "\t", "\u00a0", "\u3000", "\u0085", "'s", "'ll", "'", "the", "banana", "aaaaaaa", "12", "Ⅷ", "½", "中文",
		"é", "e\u0301", "\u0323\u0302", "한", "\u1112\u1161\u11ab", "😀", "<|endoftext|>", "<|padding|>", "<|end", "==", "_", "\x00", "ß", "\u200b"}
	var b strings.Builder
	for range r.IntN(14) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

func TestBPEIsTheDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	tok, o := smallBPE(t), oracleOf(t, "testdata/bpe.json")
	for range 20000 {
		s := bpeSalad(r)
		want := o.encode(s)
		got := encode(tok, s)
		if !slices.Equal(got, want) {
			t.Fatalf("%q: got %v, want %v", s, got, want)
		}
		if text := string(Decode(tok, got)); norm.NFC.String(text) != norm.NFC.String(s) {
			t.Fatalf("%q came back as %q", s, text)
		}
	}
}

// Bytes that are not UTF-8 divide the text and come back as they are, those that UTF-8 never has as U+FFFD.
func TestBPEInvalidText(t *testing.T) {
	tok := smallBPE(t)
	for text, want := range map[string]string{
		"the\x80the": "the\x80the", "\xe4\xb8": "\xe4\xb8", "e\xcc\x81\xcc": "é\xcc", "a\xff": "a\ufffd", "\xc0\x80": "\ufffd\x80", "\xf5": "\ufffd",
	} {
		if got := string(Decode(tok, encode(tok, text))); got != want {
			t.Errorf("%q came back as %q, want %q", text, got, want)
		}
	}
	if got, want := encode(tok, "the\x80the"), slices.Concat(encode(tok, "the"), []int{int(tok.bytes[0x80])}, encode(tok, "the")); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, id := range []int{-1, math.MinInt, tok.Size(), math.MaxInt} {
		if tok.Bytes(id) != nil {
			t.Errorf("id %d has bytes", id)
		}
	}
}

// NFC by the definition agrees with package norm, and long runs of combining characters get no U+034F.
func TestComposed(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 1))
	alphabet := []rune("aeoq가각\u1100\u1161\u11a8\u0301\u0302\u0323\u0308\u0344\u0958\u212bé\u0f73\u1e69\u03b9\u0345x")
	for range 5000 {
		var s []rune
		for range r.IntN(12) {
			s = append(s, alphabet[r.IntN(len(alphabet))])
		}
		want := norm.NFC.String(string(s))
		if got := string(composedSlowly([]byte(string(s)))); got != want {
			t.Fatalf("%+q: got %+q, want %+q", string(s), got, want)
		}
	}
	long := "e" + strings.Repeat("\u0301", 50)
	if got, want := string(composed([]byte(long))), "é"+strings.Repeat("\u0301", 49); got != want {
		t.Errorf("got %+q, want %+q", got, want)
	}
	tok := smallBPE(t)
	if got := string(Decode(tok, encode(tok, long))); strings.Contains(got, "\u034f") {
		t.Errorf("got %+q", got)
	}
}

// A word of any length takes time in proportion, nearly; and a tokenizer serves many goroutines.
func TestBPELongAndConcurrent(t *testing.T) {
	tok := smallBPE(t)
	text := strings.Repeat("banana", 1<<17)
	if got := string(Decode(tok, encode(tok, text))); got != text {
		t.Error("a long word came back otherwise")
	}
	want := encode(tok, "the banana's 中文")
	var all sync.WaitGroup
	for i := range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for range 300 {
				encode(tok, bpeSalad(r))
				if got := encode(tok, "the banana's 中文"); !slices.Equal(got, want) {
					t.Errorf("got %v, want %v", got, want)
				}
			}
		}()
	}
	all.Wait()
}

func TestBytes(t *testing.T) {
	var tok Bytes
	text := make([]byte, 256)
	for i := range text {
		text[i] = byte(255 - i)
	}
	ids := appendEncode(tok, []int{7}, text)
	if len(ids) != 257 || ids[0] != 7 || ids[1] != 255 || ids[256] != 0 || tok.Size() != 256 || tok.Name() != "bytes" {
		t.Errorf("got %v", ids)
	}
	if got := Decode(tok, ids[1:]); !bytes.Equal(got, text) {
		t.Errorf("got %q", got)
	}
	if tok.Bytes(-1) != nil || tok.Bytes(256) != nil || cap(tok.Bytes(3)) != 1 {
		t.Error("Bytes outside its range")
	}
}

func TestOpen(t *testing.T) {
	if tok, err := Open("testdata/small.txt"); err != nil || tok.Name() != "small" {
		t.Error(tok, err)
	} else if _, ok := tok.(*World); !ok {
		t.Errorf("got %T", tok)
	}
	if tok, err := Open("testdata/bpe.json"); err != nil || tok.Name() != "bpe" {
		t.Error(tok, err)
	} else if _, ok := tok.(*BPE); !ok {
		t.Errorf("got %T", tok)
	}
	for _, bad := range []string{"testdata/absent", "testdata", "testdata/generate.py"} {
		if tok, err := Open(bad); err == nil || tok != nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("%s: got %v, %v", bad, tok, err)
		}
	}
}

func BenchmarkBPE(b *testing.B) {
	tok := smallBPE(b)
	text, err := os.ReadFile("testdata/generate.py")
	if err != nil {
		b.Fatal(err)
	}
	var ids []int
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		ids = appendEncode(tok, ids[:0], text)
	}
}
