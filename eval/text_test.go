package eval

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

func demoVocabulary(t *testing.T) tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.ParseWorld(demo.Name, demo.Vocab())
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// What is read, what is predicted and how many bytes that is, by the options.
func TestText(t *testing.T) {
	tok := demoVocabulary(t)
	ids, err := tokenizer.Encode(tok, "Once upon a time")
	if err != nil || len(ids) != 4 {
		t.Fatal(ids, err)
	}
	end := 0
	for name, c := range map[string]struct {
		o             TextOptions
		context, want []int
		sizes         []int
	}{
		"behind token 0":         {TextOptions{Begin: []int{0}}, []int{0}, ids, []int{4, 5, 2, 5}},
		"behind nothing":         {TextOptions{}, ids[:1], ids[1:], []int{5, 2, 5}},
		"behind two":             {TextOptions{Begin: []int{7, 8}}, []int{7, 8}, ids, []int{4, 5, 2, 5}},
		"with its end":           {TextOptions{Begin: []int{0}, End: &end}, []int{0}, append(slices.Clone(ids), 0), []int{4, 5, 2, 5, 0}},
		"of as many tokens":      {TextOptions{Begin: []int{0}, End: &end, Length: 5}, []int{0}, append(slices.Clone(ids), 0), []int{4, 5, 2, 5, 0}},
		"cut":                    {TextOptions{Begin: []int{0}, End: &end, Length: 4}, []int{0}, ids[:3], []int{4, 5, 2}},
		"cut, behind nothing":    {TextOptions{Length: 3}, ids[:1], ids[1:3], []int{5, 2}},
		"ended by its own token": {TextOptions{Begin: []int{0}, End: &ids[3], Length: 4}, []int{0}, ids[:3], []int{4, 5, 2}},
	} {
		x, err := NewText(tok, []string{"", "Once upon a time"}, c.o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		it, sizes := x.items[len(x.items)-1], x.sizes[len(x.items)-1]
		if !slices.Equal(it.Context, c.context) || len(it.Ends) != 1 || !slices.Equal(it.Ends[0], c.want) || !slices.Equal(sizes, c.sizes) {
			t.Errorf("%s: want %v and %v of %v bytes, got %+v of %v", name, c.context, c.want, c.sizes, it, sizes)
		}
	}
	many := slices.Repeat([]string{"Once upon a time"}, 10)
	x, err := NewText(tok, many, TextOptions{Begin: []int{0}, Tokens: 9})
	if err != nil || len(x.Items()) != 3 {
		t.Errorf("want whole documents of 9 tokens or more, got %d (%v)", len(x.Items()), err)
	}
	if _, err := NewText(tok, []string{"", ""}, TextOptions{Begin: []int{0}}); err == nil || !strings.Contains(err.Error(), "got none in 2 documents") {
		t.Error(err)
	}
}

// The figures of made-up losses, by hand.
func TestTextResult(t *testing.T) {
	tok := demoVocabulary(t)
	end := 0
	x, err := NewText(tok, []string{"Once upon a time", "Once"}, TextOptions{Begin: []int{0}, End: &end})
	if err != nil {
		t.Fatal(err)
	}
	r := x.Result([][]Score{
		{{Loss: []float64{1, 2, 3, 4, 5}, Likeliest: []bool{true, false, true, false, true}, KL: []float64{0, 0, 0, 0, 7}}},
		{{Loss: []float64{5, 1}, Likeliest: []bool{false, true}, KL: []float64{0, 0}}},
	})
	if r.Tokens != 7 || r.Bytes != 20 || r.N != 2 || *r.NLL != 3 || *r.Perplexity != math.Exp(3) || *r.Top1 != 4./7 || *r.KL != 1 {
		t.Errorf("%+v", r)
	}
	if want := 21 / math.Ln2 / 20; math.Abs(*r.BitsPerByte-want) > 1e-12 {
		t.Errorf("want %v bits per byte, got %v", want, *r.BitsPerByte)
	}
	if r.Intervals.Method != "Student's t distribution over 2 blocks of 256 tokens" || r.Intervals.Perplexity[1]-r.Intervals.Perplexity[0] > 1e-9 {
		t.Errorf("both documents have a mean of 3, the interval is %v, %s", r.Intervals.Perplexity, r.Intervals.Method)
	}
	r = x.Result([][]Score{
		{{Loss: []float64{0, 0, 0, 0, 1}, Likeliest: make([]bool, 5)}},
		{{Loss: []float64{9, 9}, Likeliest: make([]bool, 2)}},
	})
	if p, bits := r.Intervals.Perplexity, r.Intervals.BitsPerByte; p[0] != 1 || bits[0] != 0 || p[1] <= *r.Perplexity {
		t.Errorf("perplexity in %v, bits per byte in %v", *p, *bits)
	}
	words := (&LAMBADA{items: make([]Item, 2)}).Result([][]Score{
		{{Loss: []float64{0.1}, Likeliest: []bool{true}}},
		{{Loss: []float64{1, 9}, Likeliest: []bool{true, false}}},
	})
	if p := words.Intervals.Perplexity; p[0] != 1 || p[1] <= *words.Perplexity {
		t.Errorf("perplexity of words in %v", *p)
	}
}

func TestSplit(t *testing.T) {
	for text, want := range map[string][]string{
		"":                               nil,
		"a\nb":                           {"a\nb"},
		"a\n\n----\n\nb\n":               {"a", "b"},
		"a\r\n----\r\nb":                 {"a", "b"},
		"----\na\n----\n----\n b\n\nc\n": {"a", " b\n\nc"},
		"a\n-----\nb ----":               {"a\n-----\nb ----"},
	} {
		if got := Split(text, "----"); !slices.Equal(got, want) {
			t.Errorf("%q: want %q, got %q", text, want, got)
		}
	}
}
