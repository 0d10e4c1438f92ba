package text

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// pieces is a tokenizer whose id i+1 is the i-th of given byte strings: it makes any split of a text a stream of ids.
type pieces [][]byte

func (p pieces) Name() string                                    { return "pieces" }
func (p pieces) Size() int                                       { return len(p) + 1 }
func (p pieces) AppendEncode(dst []int, _ []byte) ([]int, error) { return dst, nil }
func (p pieces) Bytes(id int) []byte {
	if id <= 0 || id > len(p) {
		return nil
	}
	return p[id-1]
}

// outcome is what a Writer has to say of a text in the end.
type outcome struct {
	text           string
	finish         Finish
	stop           string
	ids            int
	covered, bytes int
}

// unfinished returns how many bytes at the end of b are the start of a character.
func unfinished(b []byte) int {
	for n := min(3, len(b)); n > 0; n-- {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) && !utf8.FullRune(tail) {
			return n
		}
	}
	return 0
}

// firstStop searches the whole text: the stop string that ends first, of those the longest.
func firstStop(stops []string, text string) (before, stop string) {
	for end := range len(text) + 1 {
		for _, s := range stops {
			if strings.HasSuffix(text[:end], s) && len(s) > len(stop) {
				stop = s
			}
		}
		if stop != "" {
			return text[:end-len(stop)], stop
		}
	}
	return text, ""
}

// naive is what shall come of the pieces, each an id, by definition: with the text of all of them at hand.
func naive(p pieces, o Options) outcome {
	var all []byte
	r := outcome{ids: len(p)}
	if o.Max > 0 && o.Max <= len(p) {
		r.ids, r.finish = o.Max, FinishedLength
	}
	for i, piece := range p[:r.ids] {
		all = append(all, piece...)
		if before, stop := firstStop(o.Stop, tokenizer.Text(all[:len(all)-unfinished(all)])); stop != "" {
			r.text, r.stop, r.finish, r.ids = before, stop, FinishedStop, i+1
			break
		}
	}
	if r.stop == "" {
		if r.text, r.stop = firstStop(o.Stop, tokenizer.Text(all)); r.stop != "" {
			r.finish = FinishedStop
		}
	}
	all = all[:0]
	for i, piece := range p[:r.ids] {
		all = append(all, piece...)
		last := i+1 == r.ids && r.finish != FinishedStop // then what is unfinished is so for good
		if n := len(tokenizer.Text(all)); n <= len(r.text) && (unfinished(all) == 0 || last) {
			r.covered, r.bytes = i+1, n
		}
	}
	return r
}

// check pushes the pieces and compares what a Writer says, step by step and in the end, with the naive answer.
func check(t *testing.T, p pieces, o Options) outcome {
	t.Helper()
	w, err := NewWriter(p, o)
	if err != nil {
		t.Fatal(err)
	}
	want := naive(p, o)
	var got outcome
	done := false
	for id := 1; id <= len(p) && !done; id++ {
		var piece []byte
		piece, done = w.Push(id)
		got.text += string(piece)
		if !utf8.Valid(piece) || !strings.HasPrefix(want.text, got.text) {
			t.Fatalf("%q, %+v: wrote %q, want a beginning of %q", p, o, got.text, want.text)
		}
		if n := certain(p[:id], o.Stop); !done && len(got.text) < n {
			t.Fatalf("%q, %+v: %d bytes written, %d can no longer be part of a stop string", p, o, len(got.text), n)
		}
	}
	got.text += string(w.Flush())
	got.finish, got.stop, got.ids = w.Finish(), w.Stop(), w.IDs()
	got.covered, got.bytes = w.Covered()
	if got != want {
		t.Fatalf("%q, %+v:\n got %+v\nwant %+v", p, o, got, want)
	}
	if done != (want.finish != Unfinished) && want.stop == "" {
		t.Fatalf("%q, %+v: done %v", p, o, done)
	}
	if piece, again := w.Push(1); want.finish != Unfinished && (len(piece) != 0 || !again || w.IDs() != want.ids) {
		t.Fatalf("%q, %+v: an id after the end gave %q, %v", p, o, piece, again)
	}
	return got
}

// certain returns how many bytes of text can neither change nor belong to a stop string that is still incomplete.
func certain(p pieces, stops []string) int {
	all := slices.Concat(p...)
	text := tokenizer.Text(all[:len(all)-unfinished(all)])
	for start := range text {
		for _, stop := range stops {
			if strings.HasPrefix(stop, text[start:]) {
				return start
			}
		}
	}
	return len(text)
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

// Whatever the tokens' borders, the text is that of all bytes, up to the stop string that ends first.
func TestWriterSplits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	letters := []string{"a", "b", "\n", "。", "é", "\xe3", "\x80", "\xff", "\ufffd"}
	word := func(n, kinds int) string {
		var s strings.Builder
		for range n {
			s.WriteString(letters[r.IntN(kinds)])
		}
		return s.String()
	}
	count := map[Finish]int{}
	inside := 0 // a token that is text in part and stop string in part
	for range 40_000 {
		kinds := 2 + r.IntN(len(letters)-1)
		o := Options{Stop: make([]string, r.IntN(4)), Max: max(0, r.IntN(60)-30)}
		for i := range o.Stop {
			o.Stop[i] = strings.ToValidUTF8(word(1+r.IntN(5), kinds), "\ufffd")
		}
		got := check(t, split(r, []byte(word(r.IntN(40), kinds))), o)
		count[got.finish]++
		if got.bytes < len(got.text) {
			inside++
		}
	}
	if len(count) != 3 || count[FinishedStop] < 5000 || count[FinishedLength] < 2000 || inside < 1000 {
		t.Errorf("too few of a kind: %v, %d stops inside a token", count, inside)
	}
}

func FuzzWriter(f *testing.F) {
	f.Add("\n\nUser:|</s>", []byte("hi\n\nUse\n\nUser: x"), uint64(1), 0)
	f.Add("aa|aab|b", []byte("aaab"), uint64(2), 3)
	f.Add("é|\ufffd", []byte("caf\xc3\xa9s\xc3"), uint64(3), 0)
	f.Add("。\n\n", []byte("是。\n。\n\nUser"), uint64(4), 9)
	f.Fuzz(func(t *testing.T, list string, text []byte, seed uint64, most int) {
		if len(list) > 100 || len(text) > 400 || most < 0 {
			return
		}
		o := Options{Max: most}
		for _, stop := range strings.Split(list, "|") {
			if stop != "" && utf8.ValidString(stop) {
				o.Stop = append(o.Stop, stop)
			}
		}
		check(t, split(rand.New(rand.NewPCG(seed, 6)), text), o)
	})
}

func TestWriterByHand(t *testing.T) {
	for _, c := range []struct {
		name           string
		stop           []string
		push           []string
		text           []string // for each id
		covered, bytes int
	}{
		{"over borders of tokens", []string{"\n\nUser:"}, []string{"Hello.", "\n\n", "User", ":"}, []string{"Hello.", "", "", ""}, 1, 6},
		{"a beginning that is none", []string{"\n\nUser:"}, []string{"a\n", "\nUs", "x", "\n\nUser: b"}, []string{"a", "", "\n\nUsx", ""}, 3, 6},
		{"a token that is both", []string{"\n\nUser:"}, []string{"是", "。\n", "\nUser", ": b"}, []string{"是", "。", "", ""}, 1, 3},
		{"a character in bytes", []string{"中"}, []string{"a\xe4", "\xb8", "\xad"}, []string{"a", "", ""}, 0, 0},
		{"the longest of those that end together", []string{"b", "aab"}, []string{"xaa", "b"}, []string{"x", ""}, 0, 0},
		{"the first to end", []string{"abcd", "bc"}, []string{"ab", "cd"}, []string{"", "a"}, 0, 0},
		{"the same twice", []string{"ab", "ab"}, []string{"x", "a", "b"}, []string{"x", "", ""}, 1, 1},
	} {
		var p pieces
		for _, s := range c.push {
			p = append(p, []byte(s))
		}
		w, err := NewWriter(p, Options{Stop: c.stop})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range c.text {
			if got, done := w.Push(i + 1); string(got) != want || done != (i+1 == len(p)) {
				t.Errorf("%s: Push(%q): got %q, %v, want %q", c.name, c.push[i], got, done, want)
			}
		}
		if ids, bytes := w.Covered(); ids != c.covered || bytes != c.bytes || w.Finish() != FinishedStop || len(w.Flush()) != 0 {
			t.Errorf("%s: %d ids are text of %d bytes, want %d of %d; finish %q", c.name, ids, bytes, c.covered, c.bytes, w.Finish())
		}
	}
}

// The end-of-text id ends a text, gives what was held back, and is counted nowhere. A stop string has precedence over
// the length.
func TestWriterEnds(t *testing.T) {
	p := pieces{[]byte("a"), []byte("\n"), []byte("\xe4")}
	for _, c := range []struct {
		ids    []int
		max    int
		text   string
		finish Finish
		counts [3]int
	}{
		{[]int{1, 2, 0}, 0, "a\n", FinishedEnd, [3]int{2, 2, 2}},
		{[]int{1, 2, 0}, 3, "a\n", FinishedEnd, [3]int{2, 2, 2}},
		{[]int{1, 2}, 2, "a\n", FinishedLength, [3]int{2, 2, 2}},
		{[]int{1, 2, 2}, 3, "a", FinishedStop, [3]int{3, 1, 1}},
		{[]int{0}, 1, "", FinishedEnd, [3]int{}},
		{[]int{1, 3, 0}, 0, "a\ufffd", FinishedEnd, [3]int{2, 2, 4}},
		{[]int{1, 3}, 2, "a\ufffd", FinishedLength, [3]int{2, 2, 4}},
		{[]int{1, 9, 2, 9}, 4, "a\n", FinishedLength, [3]int{4, 4, 2}}, // 9 has no bytes
	} {
		w, err := NewWriter(p, Options{Stop: []string{"\n\n"}, Max: c.max})
		if err != nil {
			t.Fatal(err)
		}
		var got string
		for i, id := range c.ids {
			piece, done := w.Push(id)
			got += string(piece)
			if done != (i+1 == len(c.ids)) {
				t.Errorf("%v: done %v after %d ids", c.ids, done, i+1)
			}
		}
		covered, bytes := w.Covered()
		if counts := [3]int{w.IDs(), covered, bytes}; got != c.text || w.Finish() != c.finish || counts != c.counts {
			t.Errorf("%v: %q, %s, %v, want %q, %s, %v", c.ids, got, w.Finish(), counts, c.text, c.finish, c.counts)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	for want, stop := range map[string]string{
		`text: stop[1]: want a string that is not empty, got ""`: "", `text: stop[1]: want valid UTF-8, got "\xb8"`: "\xb8",
	} {
		if _, err := NewWriter(pieces{}, Options{Stop: []string{"a", stop}}); err == nil || err.Error() != want {
			t.Errorf("want %s, got %v", want, err)
		}
	}
}

// story is a text of 400 ids with beginnings of stop strings and characters in pieces.
func story() (p pieces, o Options) {
	r := rand.New(rand.NewPCG(3, 4))
	p = split(r, []byte(strings.Repeat("therefore the 中文 😀é\n\nUse \n", 60)))
	return p, Options{Stop: []string{"\n\nUser:", "\nUser:", "</s>"}}
}

// A token costs no allocation.
func TestWriterAllocates(t *testing.T) {
	p, o := story()
	w, err := NewWriter(p, o)
	if err != nil {
		t.Fatal(err)
	}
	pass := func() {
		for id := range p {
			w.Push(id + 1)
		}
	}
	pass()
	if n := testing.AllocsPerRun(10, pass); n != 0 {
		t.Errorf("%v allocations for %d tokens", n, len(p))
	}
}

func BenchmarkWriter(b *testing.B) {
	p, o := story()
	w, err := NewWriter(p, o)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		for id := range p {
			w.Push(id + 1)
		}
	}
}
