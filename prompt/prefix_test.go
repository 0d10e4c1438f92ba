package prompt

import (
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// vocabularies calls a test with the demo model's vocabulary and with the published one.
func vocabularies(t *testing.T, test func(t *testing.T, tok tokenizer.Tokenizer)) {
	t.Run("demo", func(t *testing.T) {
		tok, err := tokenizer.ParseWorld("demo", demo.Vocab())
		if err != nil {
			t.Fatal(err)
		}
		test(t, tok)
	})
	t.Run("World", func(t *testing.T) {
		path := reference.Shared(t, "vocab", load.WorldVocab)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.ParseWorld(path, data)
		if err != nil {
			t.Fatal(err)
		}
		test(t, tok)
	})
}

// encode returns the ids of segments, each by itself.
func encode(t *testing.T, tok tokenizer.Tokenizer, segments []Segment) (ids []int) {
	t.Helper()
	for _, s := range segments {
		more, err := tokenizer.Encode(tok, s.Text)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, more...)
	}
	return ids
}

// scraps are what made-up messages consist of: ends of sentences, line breaks and marks of the dialects.
var scraps = []string{"Hello", " world", "。", "你好。\n", "，\n", "…\n", "です。", "！", "\n", "\n\n", "\r\n", " ", "```json", "```", "</think>", "User:", "\nUser: x", "✿",
	"### User", "1. ", "\t", "{}", "é", "\u3000", "。\n\nUser"}

func scrapText(r *rand.Rand) string {
	var b strings.Builder
	for range 1 + r.IntN(6) {
		b.WriteString(scraps[r.IntN(len(scraps))])
	}
	return b.String()
}

// made returns a conversation of users and assistants, with tools' outputs if there are calls, up to a user's message.
func made(r *rand.Rand, calls bool) (m []Message) {
	if r.IntN(2) == 0 {
		m = append(m, Message{Role: System, Content: scrapText(r)})
	}
	for range r.IntN(4) {
		m = append(m, Message{Role: User, Content: scrapText(r)}, answered(r))
		if calls && r.IntN(2) == 0 {
			m[len(m)-1].Calls = []Call{{Name: "now", Arguments: `{"a": "。\n"}`}}
			m = append(m, Message{Role: Output, Content: scrapText(r)}, answered(r))
		}
	}
	return append(m, Message{Role: User, Content: scrapText(r)})
}

func answered(r *rand.Rand) Message {
	m := Message{Role: Assistant, Content: scrapText(r)}
	if r.IntN(3) == 0 {
		m.Reasoning = scrapText(r)
	}
	return m
}

// A conversation with a turn more begins with the ids that it had before, up to the answer; and where the last message
// asked for a thought of some length, up to that request.
func TestTurnExtendsIDs(t *testing.T) {
	vocabularies(t, func(t *testing.T, tok tokenizer.Tokenizer) {
		r := rand.New(rand.NewPCG(1, 2))
		seams := 0 // where the text as a whole has other ids
		for range 1500 {
			d := Dialects()[r.IntN(len(dialects))]
			o := Options{KeepReasoning: r.IntN(2) == 0, Unclean: r.IntN(4) == 0, Date: []int{0, 20250101, 20251001}[r.IntN(3)]}
			if d.Thinks {
				o.Think = Thinks()[r.IntN(5)]
			}
			if d.Tools != NoTools && r.IntN(2) == 0 {
				o.Tools = weather()
			}
			messages := made(r, d.Tools != NoTools)
			before := render(t, d.Name, messages, o)
			after := render(t, d.Name, append(slices.Clone(messages), answered(r), Message{Role: User, Content: scrapText(r)}), o)
			n := len(before.Segments)
			for before.Segments[n-1].Part == Opening || o.suffix() != "" && before.Segments[n-1].Text != o.suffix() {
				n--
			}
			if o.suffix() != "" {
				n-- // the suffix itself
			}
			ids, more := encode(t, tok, before.Segments[:n]), encode(t, tok, after.Segments)
			if len(more) < len(ids) || !slices.Equal(ids, more[:len(ids)]) {
				t.Fatalf("%s %+v:\n%q\n%q", d.Name, o, before.Text(), after.Text())
			}
			if whole, err := tokenizer.Encode(tok, after.Text()); err == nil && !slices.Equal(whole, more) {
				seams++
			}
			if before.Segments[n-1].End == NoMark {
				t.Fatalf("%s %+v: no mark before the answer: %+v", d.Name, o, before.Segments[n-1])
			}
		}
		if seams < 10 {
			t.Errorf("%d texts have other ids as a whole: the test tests nothing", seams)
		}
	})
}

// A conversation that is cut behind a message, written closed up to there and begun from there, has the ids that it has
// as a whole.
func TestBegunExtendsClosed(t *testing.T) {
	vocabularies(t, func(t *testing.T, tok tokenizer.Tokenizer) {
		r := rand.New(rand.NewPCG(3, 4))
		for range 1500 {
			d := Dialects()[r.IntN(len(dialects))]
			if d.AfterSystem != "" {
				continue // what a user's header is depends on the messages before
			}
			o := Options{KeepReasoning: r.IntN(2) == 0, Unclean: r.IntN(4) == 0}
			if d.Thinks {
				o.Think = Thinks()[r.IntN(5)]
			}
			if d.Tools != NoTools && r.IntN(2) == 0 {
				o.Tools = weather()
			}
			messages := append(made(r, d.Tools != NoTools), answered(r), Message{Role: System, Content: scrapText(r)},
				Message{Role: User, Content: scrapText(r)})
			cut := 1 + r.IntN(len(messages)-1)
			closed, begun := o, o
			closed.Closed, begun.Begun = true, true
			ids := encode(t, tok, render(t, d.Name, messages[:cut], closed).Segments)
			ids = append(ids, encode(t, tok, render(t, d.Name, messages[cut:], begun).Segments)...)
			whole := render(t, d.Name, messages, o)
			if want := encode(t, tok, whole.Segments); !slices.Equal(ids, want) {
				t.Fatalf("%s %+v, cut behind %d messages:\n%q\n%q", d.Name, o, cut, tokenizer.Decode(tok, ids), whole.Text())
			}
		}
	})
}

func (o *Options) suffix() string { return thinkingOf(o.Date).suffix[o.Think] }

// Headers and the texts behind them have the ids that they had in training, when the text was encoded as a whole.
func TestSeamOfHeaders(t *testing.T) {
	vocabularies(t, func(t *testing.T, tok tokenizer.Tokenizer) {
		for _, d := range Dialects() {
			for _, content := range []string{"Hello", "你好", "1", "{", "-", "\"", "é", "(", "http://x", "``` x"} {
				o := Options{Unclean: true}
				if d.Thinks {
					o.Think = ThinkFast
				}
				for _, s := range [][]Message{{{Role: User, Content: content}}, {{Role: System, Content: content}, {Role: User, Content: content}}} {
					p := render(t, d.Name, s, o)
					whole, err := tokenizer.Encode(tok, p.Text())
					if err != nil {
						t.Fatal(err)
					}
					if ids := encode(t, tok, p.Segments); !slices.Equal(ids, whole) {
						t.Errorf("%s: %q has the ids %v, and %v as a whole", d.Name, p.Text(), ids, whole)
					}
				}
			}
		}
	})
}
