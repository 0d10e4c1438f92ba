package statecache

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// userStop ends an answer where the next turn would begin.
const userStop = "\n\nUser:"

// chat renders a conversation of a system prompt, and by turns what the user and the assistant said, up to where the
// next answer begins.
func chat(system string, said ...string) []Segment {
	var p []Segment
	if system != "" {
		p = append(p, Segment{Text: "System:"}, Segment{Text: " " + system, End: Anchor}, Segment{Text: "\n\n"})
	}
	for i, text := range said {
		if i%2 == 0 {
			p = append(p, Segment{Text: "User:"}, Segment{Text: " " + text, End: Turn}, Segment{Text: "\n\n"}, Segment{Text: "Assistant:", End: Turn})
		} else {
			p = append(p, Segment{Text: " " + text, Answer: true, End: Turn}, Segment{Text: "\n\n"})
		}
	}
	return p
}

// want compares what a request had to read with what it should have read.
func (s *server) want(name string, r reply, prefilled int) {
	s.t.Helper()
	if r.prefilled != prefilled {
		s.t.Errorf("%s: %d of %d tokens were prefilled, want %d", name, r.prefilled, len(r.prompt), prefilled)
	}
}

// turn is what a further turn reads: what separates it from the answer before, and itself.
func (s *server) turn(user string) int {
	return s.count("\n\n", "User:", " "+user, "\n\n", "Assistant:")
}

// reply is what is read where the user's words are known: the way to the answer.
func (s *server) reply() int { return s.count("\n\n", "Assistant:") }

// whole is what a prompt costs that nothing is known of.
func (s *server) whole(p []Segment) (n int) {
	for _, seg := range p {
		n += s.count(seg.Text)
	}
	return n
}

const system = "You are a helpful assistant and the answers you give are short."

// A conversation reads each turn once.
func TestConversation(t *testing.T) {
	eachVocabulary(t, func(t *testing.T, s *server) {
		said := []string{"Hello!"}
		p := chat(system, said...)
		r := s.ask("ann", p, s.encode(" Hello there."+userStop), userStop)
		s.want("first turn", r, s.whole(p))
		for i := range 12 {
			next := fmt.Sprintf("And what is the time in place %d?", i)
			said = append(said, strings.TrimSpace(r.text), next)
			r = s.ask("ann", chat(system, said...), s.encode(fmt.Sprintf(" The time is %d.%s", i, userStop)), userStop)
			s.want("next turn", r, s.turn(next)+s.tail(r, "."))
		}
	})
}

// tail is what is read of an answer whose last token was text in part and stop string in part: the text in it.
func (s *server) tail(_ reply, last string) int {
	ids := s.encode(last + userStop)
	if string(s.tok.Bytes(ids[0])) == last {
		return 0
	}
	return s.count(last)
}

// A message that is edited costs itself and what follows, wherever it is.
func TestEditedMessage(t *testing.T) {
	eachVocabulary(t, func(t *testing.T, s *server) {
		said := []string{"What is the time?", "It is late", "And there?", "It is later", "Thank you"}
		for n := 1; n <= len(said); n += 2 {
			draws := []int{0}
			if n < len(said) {
				draws = append(s.encode(" "+said[n]), 0)
			}
			s.ask("ann", chat(system, said[:n]...), draws)
		}
		for n := len(said) - 1; n >= 0; n -= 2 {
			edited := append(slices.Clone(said[:n]), "Something else, and more of it")
			r := s.ask("ann", chat(system, edited...), []int{0})
			s.want(fmt.Sprintf("message %d", n), r, s.turn(edited[n]))
		}
	})
}

// The same prompt again reads from the end of the user's words: the state at its very end gives no logits.
func TestRegenerate(t *testing.T) {
	eachVocabulary(t, func(t *testing.T, s *server) {
		p := chat(system, "Hello!", "Hello there", "What is the time?")
		s.want("first", s.ask("ann", p, s.encode(" It is late"+userStop), userStop), s.whole(p))
		for range 3 {
			s.want("again", s.ask("ann", p, s.encode(" It is a little late"+userStop), userStop), s.reply())
		}
	})
}

// Where clients leave an answer's thoughts out of the history, the answer's own tokens are read and no others.
func TestStrippedThoughts(t *testing.T) {
	eachVocabulary(t, func(t *testing.T, s *server) {
		think := func(p []Segment) []Segment { return append(p, Segment{Text: " <think"}) }
		thoughts := ">\nThe user wants to know the time, so I think and think.</think>\n"
		r := s.ask("ann", think(chat(system, "What is the time?")), s.encode(thoughts+"It is late."+userStop), userStop)
		if !strings.HasSuffix(r.text, "It is late.") {
			t.Fatalf("the answer is %q", r.text)
		}
		said := []string{"What is the time?", "It is late.", "And there?"}
		r = s.ask("ann", think(chat(system, said...)), s.encode(thoughts+"It is later."+userStop), userStop)
		s.want("stripped", r, s.count(" It is late.")+s.turn("And there?")+s.count(" <think"))
		said = append(said, "It is later.", "Thank you")
		r = s.ask("ann", think(chat(system, said...)), []int{0})
		s.want("stripped again", r, s.count(" It is later.")+s.turn("Thank you")+s.count(" <think"))
		// Where they are kept, nothing is.
		p := append(think(chat("", "What is the time?")), Segment{Text: thoughts + "It is late", Answer: true, End: Turn})
		s.ask("ann", p[:len(p)-1], append(s.encode(thoughts+"It is late"), 0))
		r = s.ask("ann", append(p, chat("", "And there?")...), []int{0})
		s.want("kept", r, s.turn("And there?")-s.count("\n\n"))
	})
}

// A time stamp in the system prompt costs what stands behind it, from the third request on, which is the first to know
// where texts part.
func TestTimeStamp(t *testing.T) {
	eachVocabulary(t, func(t *testing.T, s *server) {
		rules := strings.Repeat("Be kind and think before you answer. ", 40)
		stamped := func(time string) []Segment { return chat(rules+"The time is ["+time+"]. Be brief.", "Hello!") }
		var r reply
		for i, time := range []string{"10:46:12", "11:47:13", "12:48:14", "13:59:59"} {
			p := stamped(time)
			r = s.ask("ann", p, []int{0})
			if i == 0 {
				s.want("at first", r, s.whole(p))
			}
			if i < 2 {
				continue
			}
			if all := s.count("The time is ["+time+"]. Be brief.") + s.reply() + s.count("\n\n", "User:", " Hello!"); r.prefilled > all {
				t.Errorf("request %d: %d tokens were prefilled, want at most the %d from the time on", i, r.prefilled, all)
			}
		}
	})
}

// Chinese and Japanese sentences end in tokens that take a line's end with them: neither a user's turn nor an answer is
// read again for that.
func TestPunctuation(t *testing.T) {
	eachVocabulary(t, func(t *testing.T, s *server) {
		for _, c := range []struct{ first, answer, last string }{
			{"你好，你是谁？", "我很好。", "。"}, {"今日は何曜日ですか。", "今日は日曜日です。", "。"}, {"请继续，", "好，", "，"}, {"Go on.", "Well.", "."},
		} {
			draws := s.encode(" " + c.answer + userStop)
			stopped := s.ask("ann", chat("", c.first), draws, userStop)
			if stopped.text != " "+c.answer {
				t.Fatalf("the answer is %q", stopped.text)
			}
			said := []string{c.first, c.answer, "好。"}
			r := s.ask("ann", chat("", said...), s.encode(" "+c.answer+userStop), userStop)
			s.want(c.answer+" stopped", r, s.tail(r, c.last)+s.turn("好。"))
			r = s.ask("ann", chat("", append(said, c.answer, "谢谢。")...), []int{0})
			s.want(c.answer+" in the middle", r, s.tail(r, c.last)+s.turn("谢谢。"))
			// An answer that the end-of-text id ends may have the line's end in its last token.
			s.ask("bob", chat("", c.first), append(s.encode(" "+c.answer+"\n"), 0))
			r = s.ask("bob", chat("", said...), []int{0})
			s.want(c.answer+" ended", r, s.turn("好。")-s.count("\n\n")+s.count("\n"))
		}
	})
}

// Answers come back without the white space at their ends, and with ids that encoding them would not give.
func TestTrimmedAnswers(t *testing.T) {
	eachVocabulary(t, func(t *testing.T, s *server) {
		joined := s.encode(" Hello there")
		apart := slices.Concat(s.encode(" Hel"), s.encode("lo"), s.encode(" there"))
		if slices.Equal(joined, apart) {
			t.Fatal("want ids that encoding does not give")
		}
		next := s.turn("Thank you") - s.count("\n\n")
		for name, c := range map[string]struct {
			draws    []int
			returned string
			read     int // of what follows the answer, the turn aside
		}{
			"as written":              {joined, "Hello there", s.count("\n\n")},
			"in other ids":            {apart, "Hello there", s.count("\n\n")},
			"a line's end":            {append(slices.Clone(apart), s.encode("\n")...), "Hello there", s.count("\n")},
			"a line's end, sent back": {append(slices.Clone(apart), s.encode("\n")...), "Hello there\n", s.count("\n")},
			"two":                     {append(slices.Clone(apart), s.encode("\n\n")...), "Hello there", 0},
			"a blank":                 {append(slices.Clone(apart), s.encode(" ")...), "Hello there", s.count("\n\n")},
			"wide blanks":             {s.encode("\u3000\u3000Hello there\u3000"), "Hello there", s.count("\n\n")},
			"lines before":            {append(s.encode("\n\n"), s.encode("Hello there")...), "Hello there", s.count("\n\n")},
		} {
			p := chat("", "Hello!")
			s.ask(name, p, append(c.draws, 0))
			r := s.ask(name, chat("", "Hello!", c.returned, "Thank you"), s.encode(" Yes"+userStop), userStop)
			s.want(name, r, c.read+next)
			r = s.ask(name, chat("", "Hello!", c.returned, "Thank you", "Yes", "Thank you"), []int{0})
			s.want(name+", a turn later", r, s.count("\n\n")+next)
		}
		// An answer that a client cut off goes on from a checkpoint within it, and one that it changed from before it.
		long := strings.Repeat(" and the time is late", 40)
		s.every = 32
		s.ask("cut", chat("", "Hello!"), append(s.encode(long), 0))
		known := s.ask("cut", chat("", "Hello!", long, "Thank you"), []int{0})
		s.want("long", known, s.count("\n\n")+next)
		r := s.ask("cut", chat("", "Hello!", "No", "Thank you"), []int{0})
		s.want("changed", r, s.reply()+s.count(" No", "\n\n")+next)
	})
}

// A prompt of some 40 tokens is as well kept as a long one.
func TestShortPrompts(t *testing.T) {
	eachVocabulary(t, func(t *testing.T, s *server) {
		const instruction = "Translate into Japanese."
		p := chat(instruction, "Hello!")
		if n := s.whole(p); n > 60 {
			t.Fatalf("%d tokens are no short prompt", n)
		}
		s.want("first", s.ask("ann", p, []int{0}), s.whole(p))
		for _, word := range []string{"You are late", "the time", "Hel"} {
			s.want(word, s.ask("ann", chat(instruction, word), []int{0}), s.turn(word))
			s.want(word+" again", s.ask("ann", chat(instruction, word), []int{0}), s.reply())
		}
	})
}

// After a restart a conversation goes on as it would have, with the ids that were drawn.
func TestRestart(t *testing.T) {
	eachVocabulary(t, func(t *testing.T, s *server) {
		o := Options{Size: fakeSize, Host: 1 << 20, Disk: 1 << 20, Dir: t.TempDir(), Identity: "fake"}
		s.cache = newCache(t, o)
		draws := slices.Concat(s.encode(" Hel"), s.encode("lo"), s.encode(" 今日は"), s.encode("。\n"), []int{0})
		s.ask("ann", chat(system, "Hello!"), draws)
		for i, identity := range []string{"fake", "fake", "another"} {
			if err := s.cache.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			o.Identity = identity
			s.cache = newCache(t, o)
			last := fmt.Sprintf("Thank you %d", i)
			p := chat(system, "Hello!", "Hello 今日は。", last)
			read := s.turn(last) - s.count("\n\n") + s.count("\n")
			if identity != "fake" {
				read = s.whole(p)
			}
			s.want(last, s.ask("ann", p, []int{0}), read)
			s.want("another user", s.ask(fmt.Sprint("bob", i), p, []int{0}), s.whole(p))
		}
	})
}

// What one user said costs another as much as if nobody had.
func TestSpaces(t *testing.T) {
	eachVocabulary(t, func(t *testing.T, s *server) {
		p := chat(system, "Hello!", "Hello there", "What is the time?")
		s.ask("ann", p, []int{0})
		s.want("bob", s.ask("bob", p, []int{0}), s.whole(p))
		s.want("ann", s.ask("ann", p, []int{0}), s.reply())
		hit := s.cache.Space("eve").Find(s.encode("System:"), 10)
		if hit.Shared != 0 || hit.Tokens != 0 {
			t.Errorf("eve finds %d ids shared, %d kept", hit.Shared, hit.Tokens)
		}
	})
}

// The stop strings and the end-of-text id that these tests use end a text as they assume.
func TestAsksAreWhole(t *testing.T) {
	eachVocabulary(t, func(t *testing.T, s *server) {
		w, err := text.NewWriter(s.tok, text.Options{Stop: []string{userStop}})
		if err != nil {
			t.Fatal(err)
		}
		var done bool
		for _, id := range s.encode(" 我很好。" + userStop) {
			_, done = w.Push(id)
		}
		if !done || tokenizer.Text(s.tok.Bytes(text.EndOfText)) != "" {
			t.Error("the stop string was not found, or the end of the text has bytes")
		}
	})
}
