package sample

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// naiveStop searches the whole text: the match that ends first, of those the longest.
func naiveStop(stops []string, text string) (emit, stop string) {
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

// checkStop pushes text in pieces of the given lengths (repeated) and compares all that is emitted with naiveStop.
func checkStop(t *testing.T, stops []string, text string, pieces []byte) {
	t.Helper()
	s, err := NewStopper(stops)
	if err != nil {
		t.Fatal(err)
	}
	wantText, wantStop := naiveStop(stops, text)
	var got strings.Builder
	stopped := false
	rest := text
	for i := 0; rest != "" && !stopped; i++ {
		n := len(rest)
		if len(pieces) > 0 {
			n = min(n, int(pieces[i%len(pieces)]%8)+i/len(pieces)%2)
		}
		var emit string
		emit, stopped = s.Push(rest[:n])
		rest = rest[n:]
		got.WriteString(emit)
		if !strings.HasPrefix(wantText, got.String()) {
			t.Fatalf("stops %q text %q: emitted %q, want a beginning of %q", stops, text, got.String(), wantText)
		}
		if want := mustEmit(stops, text[:len(text)-len(rest)]); !stopped && got.Len() < want {
			t.Fatalf("stops %q text %q: %d bytes emitted, %d can no longer be part of a stop", stops, text, got.Len(), want)
		}
	}
	if stopped != (wantStop != "") || s.Stop() != wantStop {
		t.Fatalf("stops %q text %q: stopped %v by %q, want %q", stops, text, stopped, s.Stop(), wantStop)
	}
	if emit, again := s.Push(""); stopped && (emit != "" || !again) {
		t.Fatalf("stops %q: Push after a stop: %q, %v", stops, emit, again)
	}
	got.WriteString(s.Flush())
	if got.String() != wantText {
		t.Fatalf("stops %q text %q: emitted %q, want %q", stops, text, got.String(), wantText)
	}
}

// mustEmit returns how much of text cannot belong to a stop string that is still incomplete.
func mustEmit(stops []string, text string) int {
	for start := range text {
		for _, stop := range stops {
			if strings.HasPrefix(stop, text[start:]) {
				return start
			}
		}
	}
	return len(text)
}

func TestStopperAgainstNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	word := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = "ab\n"[r.IntN(2+r.IntN(2))]
		}
		return string(b)
	}
	matched := 0
	for range 30_000 {
		stops := make([]string, r.IntN(4))
		for i := range stops {
			stops[i] = word(1 + r.IntN(6))
		}
		text := word(r.IntN(40))
		pieces := make([]byte, r.IntN(5))
		for i := range pieces {
			pieces[i] = byte(r.IntN(8))
		}
		if _, stop := naiveStop(stops, text); stop != "" {
			matched++
		}
		checkStop(t, stops, text, pieces)
	}
	if matched < 5000 {
		t.Errorf("only %d texts held a stop string", matched)
	}
}

func TestStopperByHand(t *testing.T) {
	s, err := NewStopper([]string{"\n\nUser:", "</s>", "aab"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		push, emit string
		stop       bool
	}{
		{"Hello", "Hello", false}, {" wo\n", " wo", false}, {"\n", "", false}, {"Us", "", false}, {"e.", "\n\nUse.", false},
		{"x aa", "x ", false}, {"a", "a", false}, {"é", "aaé", false}, {"end\n\nUser: no", "end", true}, {"more", "", true},
	} {
		if emit, stop := s.Push(c.push); emit != c.emit || stop != c.stop {
			t.Errorf("Push(%q): got %q, %v, want %q, %v", c.push, emit, stop, c.emit, c.stop)
		}
	}
	if s.Stop() != "\n\nUser:" || s.Flush() != "" {
		t.Errorf("after the stop: %q, held %q", s.Stop(), s.held)
	}
	s.Reset()
	if emit, stop := s.Push("a</s"); emit != "a" || stop || s.Stop() != "" || s.Flush() != "</s" {
		t.Errorf("after Reset: %q %v %q", emit, stop, s.Stop())
	}
	if emit, _ := s.Push(">"); emit != ">" {
		t.Errorf("after Flush: got %q, want \">\"", emit)
	}
	if _, err := NewStopper([]string{"a", ""}); err == nil || !strings.Contains(err.Error(), "stop[1]") {
		t.Errorf("empty stop string: got %v", err)
	}
}
