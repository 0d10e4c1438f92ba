package eval

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// Lines that are no passages or questions are errors that name the line and the field.
func TestLineErrors(t *testing.T) {
	tok := demoVocabulary(t)
	lambada := func(data string) error { _, err := NewLAMBADA(tok, []byte(data), nil); return err }
	choice := func(data string) error { _, err := NewChoice(tok, []byte(data), nil, 0); return err }
	for _, c := range []struct {
		read       func(string) error
		data, want string
	}{
		{lambada, "", "want JSON lines, got none"},
		{lambada, "\n \n", "want JSON lines, got none"},
		{lambada, "{\"text\":\"a b\"}\nno", "line 2: want a JSON object: invalid character"},
		{lambada, "[1]", "line 1: want a JSON object"},
		{lambada, `{"txt":"a b"}`, "line 1: text: want a text, got none"},
		{lambada, `{"text":7}`, "line 1: text: want a text, got number"},
		{lambada, `{"text":"word"}`, `passage 1: text: want words with a blank before the last, got "word"`},
		{lambada, `{"text":"word "}`, "passage 1: text: want words"},
		{choice, `{"choices":["a","b"],"gold":0}`, "line 1: text: want a text here or as query, got none"},
		{choice, `{"text":"x","choices":["a"],"gold":0}`, "line 1: choices: want two texts or more, got 1"},
		{choice, `{"text":"x","choices":"a","gold":0}`, "line 1: choices: want a list of texts, got string"},
		{choice, `{"text":"x","choices":["a",""],"gold":0}`, "line 1: choices[1]: want a text, got an empty one"},
		{choice, `{"text":"x","choices":["a","b"]}`, "line 1: gold: want the index of the right choice, got none"},
		{choice, `{"text":"x","choices":["a","b"],"gold":2}`, "line 1: gold: want an index of 2 choices, got 2"},
		{choice, `{"text":"x","choices":["a","b"],"gold":"0"}`, "line 1: gold: want a whole number, got string"},
	} {
		if err := c.read(c.data); err == nil || !strings.HasPrefix(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: want %q, got %v", c.data, c.want, err)
		}
	}
}

// A context's last blanks belong to what follows.
func TestPair(t *testing.T) {
	tok := demoVocabulary(t)
	encode := func(text string) []int {
		ids, err := tokenizer.Encode(tok, text)
		if err != nil {
			t.Fatal(err)
		}
		return ids
	}
	for _, c := range []struct {
		begin         []int
		context, end  string
		before, after string
		beforeIDs     []int
	}{
		{nil, "The sun", " rose", "The sun", " rose", nil},
		{nil, "The sun.  ", " The", "The sun.", "   The", nil},
		{[]int{0}, "The sun", " rose", "The sun", " rose", []int{0}},
		{nil, "", " rose", "", " rose", []int{5}},
		{nil, "  ", " rose", "", "   rose", []int{5}},
	} {
		before, after, err := pair(tok, c.begin, 5, c.context, c.end)
		if want := append(slices.Clone(c.beforeIDs), encode(c.before)...); err != nil || !slices.Equal(before, want) || !slices.Equal(after, encode(c.after)) {
			t.Errorf("%q, %q: got %v and %v (%v)", c.context, c.end, before, after, err)
		}
	}
}

// The figures of the made-up questions of clients/lm-eval, whose tests compare with those of lm-evaluation-harness.
func TestChoice(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(reference.Root(t), "clients", "lm-eval", "tasks", "choice.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	tok, m := demoVocabulary(t), golden.Demo(t, 0)
	x, err := NewChoice(tok, data, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	eachDevice(t, func(t *testing.T, d *device.Device) {
		scores, err := scorer(t, m, d, x.Items(), 5, 64).Run(context.Background(), x.Items())
		if err != nil {
			t.Fatal(err)
		}
		r := x.Result(scores)
		if r.N != 14 || *r.Acc != harnessAcc || *r.AccNorm != harnessAccNorm || math.Abs(*r.Errors.Acc-harnessStdErr) > 1e-6 {
			t.Errorf("%+v, acc %v, acc_norm %v, standard error %v", r, *r.Acc, *r.AccNorm, *r.Errors.Acc)
		}
	})
}

// The last word counts if each of its tokens is the likeliest, and its perplexity is that of the whole word.
func TestLAMBADA(t *testing.T) {
	tok, m := demoVocabulary(t), golden.Demo(t, 0)
	data := `{"text":"Once upon a time, there was a little girl named Lily. She loved to play outside in the sunshine. One day, her mom"}
{"text":"Once upon a time"}
{"text":"The dog saw a photosynthesis"}`
	x, err := NewLAMBADA(tok, []byte(data), []int{0})
	if err != nil {
		t.Fatal(err)
	}
	scores, err := scorer(t, m, &device.Device{}, x.Items(), 2, 64).Run(context.Background(), x.Items())
	if err != nil {
		t.Fatal(err)
	}
	r := x.Result(scores)
	e := referenceOf(t, m)
	right, sum := 0, 0.0
	for i, it := range x.Items() {
		loss, likeliest, _ := naive(t, m, e, it.Context, it.Ends[0])
		if !slices.Contains(likeliest, false) {
			right++
		}
		for _, l := range loss {
			sum += l
		}
		if i == 2 && len(loss) < 2 {
			t.Errorf("a rare word is %d token", len(loss))
		}
	}
	if right == 0 || right == 3 || *r.Accuracy != float64(right)/3 || math.Abs(*r.Perplexity/math.Exp(sum/3)-1) > 1e-3 {
		t.Errorf("want %d of 3 and perplexity %v, got %v and %v", right, math.Exp(sum/3), *r.Accuracy, *r.Perplexity)
	}
}

// What lm-evaluation-harness 0.4.13 finds for these questions.
const (
	harnessAcc     = 9.0 / 14
	harnessAccNorm = 13.0 / 14
	harnessStdErr  = 0.13289435848843761
)

// The change between two models is the ratio of the perplexities that their results have, for tokens and for words of
// several tokens.
func TestChangeOfPerplexity(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 8))
	scores := func() (list [][]Score) {
		for i := range 30 {
			list = append(list, []Score{{Loss: make([]float64, 1+i%4), Likeliest: make([]bool, 1+i%4)}})
			for j := range list[i][0].Loss {
				list[i][0].Loss[j] = 5 * random.Float64()
			}
		}
		return list
	}
	text := &Text{items: make([]Item, 30)}
	for i := range 30 {
		text.sizes = append(text.sizes, make([]int, 1+i%4))
	}
	for _, task := range []Task{text, &LAMBADA{items: make([]Item, 30)}} {
		before, now := scores(), scores()
		want := *task.Result(now).Perplexity / *task.Result(before).Perplexity
		if c := task.Change(before, now); math.Abs(c.Ratio/want-1) > 1e-12 || c.Interval == nil {
			t.Errorf("%T: want %v, got %+v", task, want, c)
		}
	}
	if c := new(Choice).Change(nil, nil); c != nil {
		t.Errorf("choices: want no change, got %+v", c)
	}
}
