package tokenizer

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// small is the vocabulary in testdata that generate.py makes.
func small(tb testing.TB) *World {
	tb.Helper()
	return open(tb, "testdata/small.txt")
}

// world is the published World vocabulary.
func world(tb testing.TB) *World {
	tb.Helper()
	return open(tb, reference.Shared(tb, "vocab", "rwkv_vocab_v20230424.txt"))
}

func open(tb testing.TB, path string) *World {
	tb.Helper()
	w, err := Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	return w.(*World)
}

func readJSON(tb testing.TB, path string, into any) {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		tb.Fatalf("%s: %v", path, err)
	}
}

// checkBothWays wants text to encode to ids and ids to decode to text.
func checkBothWays(tb testing.TB, w *World, text []byte, ids []int) {
	tb.Helper()
	if got := appendEncode(w, nil, text); !slices.Equal(got, ids) {
		tb.Errorf("encode %q: got %v, want %v", text, got, ids)
	}
	if got := Decode(w, ids); !bytes.Equal(got, text) {
		tb.Errorf("decode %v: got %q, want %q", ids, got, text)
	}
}

func TestSmallVocabulary(t *testing.T) {
	w := small(t)
	var want struct {
		Tokens map[int]string
		Cases  []struct {
			Text string
			IDs  []int
		}
	}
	readJSON(t, "testdata/small.json", &want)
	if len(want.Tokens) < 300 || len(want.Cases) == 0 {
		t.Fatalf("testdata/small.json: %d tokens, %d cases", len(want.Tokens), len(want.Cases))
	}
	top := 0
	for id := range want.Tokens {
		top = max(top, id)
	}
	if w.Size() != top+1 || w.Name() != "small" {
		t.Errorf("%q of size %d, want small of size %d", w.Name(), w.Size(), top+1)
	}
	for id := -1; id <= w.Size(); id++ {
		if got := hex.EncodeToString(w.Bytes(id)); got != want.Tokens[id] {
			t.Errorf("id %d: got %s, want %s", id, got, want.Tokens[id])
		}
	}
	for _, c := range want.Cases {
		text, err := hex.DecodeString(c.Text)
		if err != nil {
			t.Fatal(err)
		}
		checkBothWays(t, w, text, c.IDs)
	}
}

func TestWorldVectors(t *testing.T) {
	w := world(t)
	var want struct {
		Cases []struct {
			Category string
			Base64   string `json:"bytes_base64"`
			IDs      []int
			Text     *string
		}
	}
	readJSON(t, reference.Shared(t, "vectors", "tokenizer", "world_vectors.json"), &want)
	if len(want.Cases) != 302 || w.Size() != 65530 {
		t.Fatalf("%d cases, size %d; want 302, 65530", len(want.Cases), w.Size())
	}
	for i, c := range want.Cases {
		t.Run(fmt.Sprintf("%d %s", i, c.Category), func(t *testing.T) {
			text, err := base64.StdEncoding.DecodeString(c.Base64)
			if err != nil {
				t.Fatal(err)
			}
			checkBothWays(t, w, text, c.IDs)
			if c.Text != nil && Text(Decode(w, c.IDs)) != *c.Text {
				t.Errorf("text: got %q, want %q", Text(Decode(w, c.IDs)), *c.Text)
			}
		})
	}
}

// Every token of the published vocabulary encodes to its own id, and the demo model's vocabulary loads.
func TestPublishedVocabularies(t *testing.T) {
	for _, w := range []*World{world(t), open(t, reference.Shared(t, "demo-model", "vocab.txt"))} {
		for id := 1; id < w.Size(); id++ {
			text := w.Bytes(id)
			if text == nil {
				t.Errorf("%s: no bytes for id %d", w.Name(), id)
			} else if got := appendEncode(w, nil, text); len(got) != 1 || got[0] != id {
				t.Errorf("%s: %q: got %v, want %d", w.Name(), text, got, id)
			}
		}
	}
}

func TestReservedIDs(t *testing.T) {
	ids := []int{0, -1, -1 << 62, 1 << 20, 1 << 32, 1<<62 + 1}
	for id := 65530; id < 65540; id++ {
		ids = append(ids, id)
	}
	check := func(t *testing.T, w *World) {
		for _, id := range ids {
			if got := w.Bytes(id); got != nil {
				t.Errorf("id %d: got %q, want nil", id, got)
			}
		}
		if got := Decode(w, ids); len(got) != 0 {
			t.Errorf("decoded to %q", got)
		}
	}
	t.Run("small", func(t *testing.T) { check(t, small(t)) })
	t.Run("published", func(t *testing.T) { check(t, world(t)) })
}

// Appending to a token's bytes must not reach the next token's.
func TestBytesCapacity(t *testing.T) {
	w := small(t)
	_ = append(w.Bytes(66), 'Z')
	if got := w.Bytes(67); string(got) != "B" {
		t.Errorf("id 67 is now %q", got)
	}
}

// naive is the longest match done with a map, against which the trie is checked.
func naive(w *World) func(text []byte) []int {
	ids := map[string]int{}
	longest := 0
	for id := range w.Size() {
		if b := w.Bytes(id); b != nil {
			ids[string(b)] = id
			longest = max(longest, len(b))
		}
	}
	return func(text []byte) []int {
		var out []int
		for len(text) > 0 {
			n := min(len(text), longest)
			for ; ids[string(text[:n])] == 0; n-- {
			}
			out, text = append(out, ids[string(text[:n])]), text[n:]
		}
		return out
	}
}

// salad joins pieces of tokens and random bytes: text that leads a trie astray.
func salad(r *rand.Rand, w *World) []byte {
	var text []byte
	for range r.IntN(40) {
		b := w.Bytes(r.IntN(w.Size()))
		switch r.IntN(4) {
		case 0:
			text = append(text, byte(r.IntN(256)))
		case 1:
			text = append(text, b[:r.IntN(len(b)+1)]...)
		default:
			text = append(text, b...)
		}
	}
	return text
}

func checkGreedy(t *testing.T, w *World, n int) {
	r := rand.New(rand.NewPCG(1, 2))
	oracle := naive(w)
	for range n {
		text := salad(r, w)
		checkBothWays(t, w, text, oracle(text))
	}
}

func TestGreedy(t *testing.T) {
	t.Run("small", func(t *testing.T) { checkGreedy(t, small(t), 3000) })
	t.Run("published", func(t *testing.T) { checkGreedy(t, world(t), 3000) })
}

// Vocabularies of few, of random and of adversarial tokens all give a trie that finds the longest match.
func TestRandomVocabularies(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		alphabet := 1 + r.IntN(256)
		tokens := map[string]bool{}
		for range r.IntN(3000) {
			b := make([]byte, 1+r.IntN(1+r.IntN(12)))
			for i := range b {
				b[i] = byte(r.IntN(alphabet) * (1 + int(seed)%2*(255/alphabet)))
			}
			tokens[string(b)] = true
		}
		w := fromTokens(t, r, tokens)
		if w != nil {
			checkGreedy(t, w, 50)
		}
		if waste := len(w.trie.cells); waste > 4096+64*len(w.bytes) {
			t.Errorf("seed %d: %d cells for %d bytes of tokens", seed, waste, len(w.bytes))
		}
	}
}

// fromTokens makes a vocabulary of tokens and all single bytes, with ids and lines in random order.
func fromTokens(tb testing.TB, r *rand.Rand, tokens map[string]bool) *World {
	tb.Helper()
	for c := range 256 {
		tokens[string([]byte{byte(c)})] = true
	}
	list := make([]string, 0, len(tokens))
	for token := range tokens {
		list = append(list, token)
	}
	slices.Sort(list)
	ids := r.Perm(2 * len(list))
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	var file []byte
	for i, token := range list {
		file = fmt.Appendf(file, "%d b'", ids[i]+1)
		for _, c := range []byte(token) {
			file = fmt.Appendf(file, "\\x%02x", c)
		}
		file = fmt.Appendf(file, "' %d\n", len(token))
	}
	w, err := ParseWorld("random", file)
	if err != nil {
		tb.Fatal(err)
	}
	for i, token := range list {
		if got := w.Bytes(ids[i] + 1); string(got) != token {
			tb.Fatalf("id %d: got %q, want %q", ids[i]+1, got, token)
		}
	}
	return w
}

func TestAppendEncodeAllocatesNothing(t *testing.T) {
	w := small(t)
	text := bytes.Repeat([]byte("therefore the 中文 abcdefgh "), 100)
	dst := make([]int, 0, len(text))
	if n := testing.AllocsPerRun(10, func() { dst = appendEncode(w, dst[:0], text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if got := appendEncode(w, []int{7}, []byte("a")); !slices.Equal(got, []int{7, 98}) {
		t.Errorf("appended to [7]: %v", got)
	}
	if got := encode(w, "a"); !slices.Equal(got, []int{98}) {
		t.Errorf("Encode: %v", got)
	}
}

func FuzzEncode(f *testing.F) {
	w := small(f)
	oracle := naive(w)
	for _, s := range []string{"", "therefore", " therefor", "abcdefgh\x00", "abcdefg", "\xf0\x9f\x98\xf0", "中文\xe4\xb8", "\x00\x00\x01"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) { checkBothWays(t, w, text, oracle(text)) })
}

func BenchmarkEncode(b *testing.B) {
	w := world(b)
	var vectors struct {
		Cases []struct {
			Base64 string `json:"bytes_base64"`
		}
	}
	readJSON(b, reference.Shared(b, "vectors", "tokenizer", "world_vectors.json"), &vectors)
	var text []byte
	for _, c := range vectors.Cases {
		t, err := base64.StdEncoding.DecodeString(c.Base64)
		if err != nil {
			b.Fatal(err)
		}
		text = append(text, t...)
	}
	english, err := os.ReadFile(reference.Shared(b, "style.md"))
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string][]byte{"vectors": text, "english": english} {
		b.Run(name+strconv.Itoa(len(text)), func(b *testing.B) {
			dst := make([]int, 0, len(text))
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				dst = appendEncode(w, dst[:0], text)
			}
		})
	}
}

func BenchmarkOpenWorld(b *testing.B) {
	path := reference.Shared(b, "vocab", "rwkv_vocab_v20230424.txt")
	b.ReportAllocs()
	for b.Loop() {
		open(b, path)
	}
}
