package weights

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"testing"
)

// Strings and numbers read as encoding/json reads them.
func TestScannerAgreesWithEncodingJSON(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	for range 5000 {
		runes := make([]rune, rng.IntN(12))
		for i := range runes {
			runes[i] = []rune{rng.Int32N(128), rng.Int32N(0x3000), 0x1f600 + rng.Int32N(64), '"', '\\'}[rng.IntN(5)]
		}
		literal, err := json.Marshal(string(runes))
		if err != nil {
			t.Fatal(err)
		}
		s := scanner{text: append([]byte(" \t"), literal...)}
		if got, err := s.str(1000); err != nil || got != string(runes) || s.at != len(s.text) {
			t.Fatalf("%s: want %q, got %q at %d (%v)", literal, string(runes), got, s.at, err)
		}
		n := rng.Int64() >> rng.IntN(63)
		s = scanner{text: strconv.AppendInt(nil, n, 10)}
		if got, err := s.natural(); err != nil || got != n {
			t.Fatalf("want %d, got %d (%v)", n, got, err)
		}
	}
}

// What encoding/json refuses as a string or number is refused here too.
func TestScannerRefuses(t *testing.T) {
	for _, text := range []string{``, `"`, `"a`, `"\`, `"\"`, `"\x"`, `"\u12"`, "\"\n\"", "\"\xff\"", `a`, `'a'`} {
		s := scanner{text: []byte(text)}
		if got, err := s.str(1000); err == nil {
			t.Errorf("string %q read as %q", text, got)
		}
	}
	for _, text := range []string{``, `-`, `-1`, `01`, `1.5`, `1e3`, `1E3`, `+1`, `.5`, `9223372036854775808`, `99999999999999999999999`, `"1"`, `null`} {
		s := scanner{text: []byte(text)}
		if got, err := s.natural(); err == nil {
			t.Errorf("number %q read as %d", text, got)
		}
	}
}

func TestTranspose(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	for range 100 {
		stack, rows, cols, size := 1+rng.IntN(3), 1+rng.IntN(70), 1+rng.IntN(70), 2<<rng.IntN(2)
		src := make([]byte, stack*rows*cols*size)
		for i := range src {
			src[i] = byte(rng.Uint32())
		}
		got := transpose(src, size, rows, cols)
		for i := range src {
			m, e, b := i/(rows*cols*size), i/size%(rows*cols), i%size
			r, c := e/cols, e%cols
			if j := (m*rows*cols+c*rows+r)*size + b; got[j] != src[i] {
				t.Fatalf("%dx[%d,%d] of %d bytes: element %d,%d of %d differs", stack, rows, cols, size, r, c, m)
			}
		}
	}
}

func TestEdits(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "", 3}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"w1", "w1", 0}} {
		if got := edits(c.a, c.b); got != c.want {
			t.Errorf("edits(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
