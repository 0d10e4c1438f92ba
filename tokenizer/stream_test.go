package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"
)

// pieces is a tokenizer whose ids are the indices of given byte strings: it makes any split of a text a stream of ids.
type pieces [][]byte

func (p pieces) Name() string                                    { return "pieces" }
func (p pieces) Size() int                                       { return len(p) }
func (p pieces) AppendEncode(dst []int, _ []byte) ([]int, error) { return dst, nil }
func (p pieces) Bytes(id int) []byte {
	if id < 0 || id >= len(p) {
		return nil
	}
	return p[id]
}

// starts holds every proper start of every character's UTF-8 form.
var starts = func() map[string]bool {
	m := map[string]bool{}
	for r := rune(0x80); r <= utf8.MaxRune; r++ {
		if utf8.ValidRune(r) {
			for s := string(r); len(s) > 1; {
				s = s[:len(s)-1]
				m[s] = true
			}
		}
	}
	return m
}()

// replaced is Text by its definition, from the list of all characters: what is not one gives U+FFFD for the longest
// start of one, or for one byte.
func replaced(b string) string {
	var out strings.Builder
	for len(b) > 0 {
		n := 1
		for k := min(4, len(b)); k > 0; k-- {
			if utf8.ValidString(b[:k]) && utf8.RuneCountInString(b[:k]) == 1 {
				out.WriteString(b[:k])
				n = -k
				break
			}
		}
		if n > 0 {
			for n < len(b) && starts[b[:n+1]] {
				n++
			}
			out.WriteString("\ufffd")
		}
		b = b[max(n, -n):]
	}
	return out.String()
}

// pushAll returns the joined text of a stream of all pieces, checking each part on the way.
func pushAll(t *testing.T, s *Stream, n int) string {
	t.Helper()
	var out []byte
	for id := range n {
		before := len(out)
		out = s.Append(out, id)
		if !utf8.Valid(out[before:]) {
			t.Fatalf("Append(%d) gave invalid UTF-8: %q", id, out[before:])
		}
		if len(s.held) > 3 || s.Held() && !starts[string(s.held)] {
			t.Fatalf("after Append(%d) the stream holds back %q", id, s.held)
		}
	}
	return string(s.AppendEnd(out))
}

// split cuts text at random places, empty pieces among them.
func split(r *rand.Rand, text []byte) pieces {
	var p pieces
	for len(text) > 0 {
		n := r.IntN(min(len(text), 1+r.IntN(6)) + 1)
		p, text = append(p, text[:n]), text[n:]
	}
	return p
}

// Text agrees with CPython's bytes.decode("utf-8", "replace") on every short sequence over an alphabet that has both
// ends of every range of UTF-8, and so does a stream that gets one byte at a time.
func TestTextIsPythons(t *testing.T) {
	var want struct {
		Alphabet string
		SHA256   map[string]string
	}
	readJSON(t, "testdata/decode.json", &want)
	alphabet, err := hex.DecodeString(want.Alphabet)
	if err != nil || len(alphabet) < 20 || len(want.SHA256) != len(alphabet) {
		t.Fatalf("testdata/decode.json: alphabet %q, %d digests", want.Alphabet, len(want.SHA256))
	}
	single := small(t)
	for _, lead := range alphabet {
		text, stream := sha256.New(), sha256.New()
		s := NewStream(single)
		var out []byte
		for n := range 4 {
			product(alphabet, []byte{lead}, n, func(b []byte) {
				text.Write([]byte(Text(b) + "\n"))
				out = out[:0]
				for _, c := range b {
					out = s.Append(out, int(c)+1)
				}
				stream.Write(append(s.AppendEnd(out), '\n'))
			})
		}
		name := hex.EncodeToString([]byte{lead})
		if got := hex.EncodeToString(text.Sum(nil)); got != want.SHA256[name] {
			t.Errorf("lead byte %s: Text differs from Python", name)
		}
		if got := hex.EncodeToString(stream.Sum(nil)); got != want.SHA256[name] {
			t.Errorf("lead byte %s: Stream differs from Python", name)
		}
	}
}

// product calls do with prefix followed by every sequence of n letters, in order of the alphabet.
func product(alphabet, prefix []byte, n int, do func([]byte)) {
	if n == 0 {
		do(prefix)
		return
	}
	for _, c := range alphabet {
		product(alphabet, append(prefix[:len(prefix):len(prefix)], c), n-1, do)
	}
}

func TestStreamParts(t *testing.T) {
	for _, c := range []struct {
		name   string
		pieces []string
		want   []string // one for each piece, then Flush
	}{
		{"ASCII at once", []string{"a", "bc"}, []string{"a", "bc", ""}},
		{"character in bytes", []string{"\xf0", "\x9f", "\x98", "\x80"}, []string{"", "", "", "😀", ""}},
		{"text before a start", []string{"ab\xe4\xb8", "\xadcd"}, []string{"ab", "中cd", ""}},
		{"broken off", []string{"\xe4\xb8", "a"}, []string{"", "\ufffda", ""}},
		{"broken off by a start", []string{"\xe4\xb8", "\xe4", "\xb8\xad"}, []string{"", "\ufffd", "中", ""}},
		{"unfinished", []string{"a\xe4\xb8"}, []string{"a", "\ufffd"}},
		{"known invalid at once", []string{"\xe0\x80", "\xed\xa0", "\xff"}, []string{"\ufffd\ufffd", "\ufffd\ufffd", "\ufffd", ""}},
		{"empty piece between", []string{"\xc3", "", "\xa9"}, []string{"", "", "é", ""}},
		{"U+FFFD itself", []string{"\xef\xbf", "\xbd"}, []string{"", "\ufffd", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p pieces
			for _, s := range c.pieces {
				p = append(p, []byte(s))
			}
			s := NewStream(p)
			for id := range p {
				if got := string(s.Append(nil, id)); got != c.want[id] {
					t.Errorf("Append(%q): got %q, want %q", c.pieces[id], got, c.want[id])
				}
			}
			if got := string(s.AppendEnd(nil)); got != c.want[len(p)] {
				t.Errorf("AppendEnd: got %q, want %q", got, c.want[len(p)])
			}
		})
	}
}

// Ids without bytes add nothing and do not end a character; after its end a stream is as new; what dst held stays.
func TestStreamAgain(t *testing.T) {
	s := NewStream(pieces{[]byte("\xc3"), []byte("\xa9")})
	out := []byte("before ")
	for _, id := range []int{0, -1, 99, 1} {
		out = s.Append(out, id)
	}
	if got := string(s.AppendEnd(out)); got != "before é" {
		t.Errorf("got %q", got)
	}
	s.Append(nil, 0)
	if !s.Held() {
		t.Error("want a character to be unfinished")
	}
	s.AppendEnd(nil)
	if got := string(s.AppendEnd(s.Append(nil, 1))); got != "\ufffd" {
		t.Errorf("after the end: got %q", got)
	}
}

func TestStreamSplits(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 5))
	w := small(t)
	for range 5000 {
		text := salad(r, w)
		want := replaced(string(text))
		if got := Text(text); got != want {
			t.Fatalf("Text(%q): got %q, want %q", text, got, want)
		}
		p := split(r, text)
		if got := pushAll(t, NewStream(p), len(p)); got != want {
			t.Fatalf("%q in pieces %q: got %q, want %q", text, p, got, want)
		}
	}
}

func FuzzStream(f *testing.F) {
	for _, s := range []string{"", "abc", "中文😀", "\xe4\xb8a", "\xf0\x9f\x98", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80\xfe\xff", "\ufffd\xef\xbf"} {
		f.Add([]byte(s), uint64(len(s)))
	}
	f.Fuzz(func(t *testing.T, text []byte, seed uint64) {
		want := replaced(string(text))
		if got := Text(text); got != want {
			t.Fatalf("Text(%q): got %q, want %q", text, got, want)
		}
		p := split(rand.New(rand.NewPCG(seed, 6)), text)
		if got := pushAll(t, NewStream(p), len(p)); got != want {
			t.Fatalf("%q in pieces %q: got %q, want %q", text, p, got, want)
		}
	})
}

func BenchmarkStream(b *testing.B) {
	w := small(b)
	ids := encode(w, strings.Repeat("therefore the 中文 😀é abcdefgh ", 100))
	s := NewStream(w)
	b.SetBytes(int64(len(Decode(w, ids))))
	b.ReportAllocs()
	var out []byte
	for b.Loop() {
		for _, id := range ids {
			out = s.Append(out[:0], id)
		}
		out = s.AppendEnd(out)
	}
}
