package text

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// behind is a gate behind a mark, if the text begins with it.
type behind struct {
	mark string
	text string
}

func (g *behind) Next(piece []byte, last bool) (n int, found bool) {
	g.text += string(piece)
	return place(g.text, g.mark, last)
}

// place returns how many bytes of a text lie behind the mark that it begins with, or how many may do so.
func place(text, mark string, last bool) (n int, found bool) {
	if rest, begins := strings.CutPrefix(text, mark); begins {
		return len(rest), true
	}
	return len(text), last || !strings.HasPrefix(mark, text)
}

// firstOf searches a text of which all is known: the stop string that ends first, of those the longest.
func firstOf(o Options, mark, text string, last bool) (before, stop string) {
	n, found := place(text, mark, last)
	for end := range len(text) + 1 {
		for _, s := range o.Stop {
			if strings.HasSuffix(text[:end], s) && len(s) > len(stop) {
				stop = s
			}
		}
		for _, s := range o.Late {
			if found && strings.HasSuffix(text[:end], s) && end-len(s) >= len(text)-n && len(s) > len(stop) {
				stop = s
			}
		}
		if stop != "" {
			return text[:end-len(stop)], stop
		}
	}
	return text, ""
}

// Late stop strings count behind the place that the gate finds, and nowhere before it, wherever tokens are cut.
func TestLate(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	word := func(n int) string {
		var s strings.Builder
		for range n {
			s.WriteString([]string{"a", "b", "b", "é"}[r.IntN(4)])
		}
		return s.String()
	}
	count := map[string]int{}
	for range 20_000 {
		const mark = "abb"
		o := Options{Stop: make([]string, r.IntN(2)), Late: make([]string, r.IntN(3)), Max: max(0, r.IntN(40)-20)}
		for i := range o.Stop {
			o.Stop[i] = word(3 + r.IntN(2))
		}
		for i := range o.Late {
			o.Late[i] = word(1 + r.IntN(3))
		}
		o.Gate = &behind{mark: mark}
		p := split(r, []byte([]string{mark, "ab", "a", ""}[r.IntN(4)]+word(r.IntN(20))))
		w, err := NewWriter(p, o)
		if err != nil {
			t.Fatal(err)
		}
		var all []byte
		var got, want, stop string
		given := 0
		for done := false; given < len(p) && !done; {
			all = append(all, p[given]...)
			given++
			var piece []byte
			piece, done = w.Push(given)
			got += string(piece)
			text := tokenizer.Text(all[:len(all)-unfinished(all)])
			want, stop = firstOf(o, mark, text, false)
			if done != (stop != "" || given == o.Max) && want == text {
				t.Fatalf("%q, %+v: done %v after %q, want %q", p, o, done, text, stop)
			}
			if n, found := place(text, mark, false); !done && found && len(got) < min(len(text)-n, certain(p[:given], o.Stop)) {
				t.Fatalf("%q, %+v: %q is held back, and no late stop string can count there", p, o, text[len(got):])
			}
		}
		got += string(w.Flush())
		if stop == "" {
			want, stop = firstOf(o, mark, tokenizer.Text(all), true)
		}
		if got != want || w.Stop() != stop {
			t.Fatalf("%q, %+v: %q, stopped by %q, want %q by %q", p, o, got, w.Stop(), want, stop)
		}
		switch {
		case stop == "":
			count["none"]++
		case len(want) < len(mark):
			count["before"]++
		default:
			count["behind"]++
		}
	}
	if count["none"] < 1000 || count["before"] < 1000 || count["behind"] < 1000 {
		t.Errorf("too few of a kind: %v", count)
	}
}

// What may lie behind the place or before it is held back until that is known.
func TestLateHeldBack(t *testing.T) {
	for _, c := range []struct {
		push, text []string // for each id
		stop       string
	}{
		{[]string{"<th", "ink>", "</a", "b"}, []string{"", "<think>", "</a", "b"}, ""},
		{[]string{"<th", "at</", "x>"}, []string{"", "", ""}, "<th"},
		{[]string{"<t", "<"}, []string{"", "<t"}, ""},
		{[]string{"<think><th", "x"}, []string{"<think>", "x"}, "<th"},
	} {
		var p pieces
		for _, s := range c.push {
			p = append(p, []byte(s))
		}
		w, err := NewWriter(p, Options{Late: []string{"<th"}, Gate: &behind{mark: "<think>"}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range p {
			got, done := w.Push(i + 1)
			if done {
				break
			}
			if string(got) != c.text[i] {
				t.Errorf("%q: push %d: %q, want %q", c.push, i, got, c.text[i])
			}
		}
		if w.Flush(); w.Stop() != c.stop {
			t.Errorf("%q: stopped by %q, want %q", c.push, w.Stop(), c.stop)
		}
	}
}
