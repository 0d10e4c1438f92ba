package completion

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
)

var few = engine.Options{Slots: 2, Chunk: 64}

// A conversation reads each turn once.
func TestConversation(t *testing.T) {
	eachDesk(t, few, func(t *testing.T, d *desk) {
		said := conversation(4)
		var before Result
		for n := 1; n < len(said); n += 2 {
			p := chat(system, said[:n]...)
			r := d.ask("ann", p, d.encode(" "+said[n]+userStop), userStop)
			if r.Text != " "+said[n] || r.Stop != userStop {
				t.Fatalf("the answer is %q, %+v", r.Text, r)
			}
			if n == 1 {
				d.want("first turn", r, d.whole(p))
			} else {
				d.want("next turn", r, d.turn(said[n-1])-d.stopped())
				d.goesOn("next turn", before, r)
			}
			before = r
		}
		// A program goes on from the turn that it was given. These ids are the drawn ones, also when the cache has nothing.
		next := slices.Concat(before.Turn, chat("", "Thank you"))
		next = slices.Insert(next, len(before.Turn), statecache.Segment{Text: "\n\n"})
		d.want("turn as given", d.ask("ann", next, []int{0}), d.turn("Thank you")-d.stopped())
		d.want("turn as given, to another", d.ask("bob", next, []int{0}), d.whole(next))
	})
}

// A message that is edited costs itself and what follows, wherever it is.
func TestEditedMessage(t *testing.T) {
	eachDesk(t, few, func(t *testing.T, d *desk) {
		said := []string{"What is the time?", "It is late", "And there?", "It is later", "Thank you"}
		for n := 1; n <= len(said); n += 2 {
			draws := []int{0}
			if n < len(said) {
				draws = append(d.encode(" "+said[n]), 0)
			}
			d.ask("ann", chat(system, said[:n]...), draws)
		}
		for n := len(said) - 1; n >= 0; n -= 2 {
			edited := append(slices.Clone(said[:n]), "Something else, and more of it")
			r := d.ask("ann", chat(system, edited...), []int{0})
			d.want(fmt.Sprintf("message %d", n), r, d.turn(edited[n]))
		}
	})
}

// The same prompt again costs from the end of the user's words on: the state at its very end gives no logits.
func TestRegenerate(t *testing.T) {
	eachDesk(t, few, func(t *testing.T, d *desk) {
		p := chat(system, "Hello!", "Hello there", "What is the time?")
		d.want("first", d.ask("ann", p, d.encode(" It is late"+userStop), userStop), d.whole(p))
		for range 3 {
			d.want("again", d.ask("ann", p, d.encode(" It is a little late"+userStop), userStop), d.reply())
		}
	})
}

// Where clients leave an answer's thoughts out of the history, the answer's own tokens are read and no others.
func TestStrippedThoughts(t *testing.T) {
	eachDesk(t, few, func(t *testing.T, d *desk) {
		think := func(p []statecache.Segment) []statecache.Segment {
			return append(p, statecache.Segment{Text: " <think"})
		}
		thoughts := ">\nThe user wants to know the time, so I think and think.</think>\n"
		r := d.ask("ann", think(chat(system, "What is the time?")), d.encode(thoughts+"It is late."+userStop), userStop)
		if !strings.HasSuffix(r.Text, "It is late.") {
			t.Fatalf("the answer is %q", r.Text)
		}
		said := []string{"What is the time?", "It is late.", "And there?"}
		r = d.ask("ann", think(chat(system, said...)), d.encode(thoughts+"It is later."+userStop), userStop)
		d.want("stripped", r, d.count(" It is late.")+d.turn("And there?")+d.count(" <think"))
		said = append(said, "It is later.", "Thank you")
		r = d.ask("ann", think(chat(system, said...)), []int{0})
		d.want("stripped again", r, d.count(" It is later.")+d.turn("Thank you")+d.count(" <think"))
		// Where they are kept, nothing is.
		p := append(think(chat("", "What is the time?")), statecache.Segment{Text: thoughts + "It is late", Answer: true, End: statecache.Turn})
		d.ask("ann", p[:len(p)-1], append(d.encode(thoughts+"It is late"), 0))
		p = append(append(p, statecache.Segment{Text: "\n\n"}), chat("", "And there?")...)
		d.want("kept", d.ask("ann", p, []int{0}), d.turn("And there?"))
	})
}

// A time stamp in the system prompt costs what stands behind it, from the third request on, which is the first to know
// where texts part.
func TestTimeStamp(t *testing.T) {
	eachDesk(t, few, func(t *testing.T, d *desk) {
		rules := strings.Repeat("Be kind and think before you answer. ", 20)
		for i, time := range []string{"10:46:12", "11:47:13", "12:48:14", "13:59:59"} {
			p := chat(rules+"The time is ["+time+"]. Be brief.", "Hello!")
			r := d.ask("ann", p, []int{0})
			if i == 0 {
				d.want("at first", r, d.whole(p))
			}
			if all := d.count("The time is ["+time+"]. Be brief.", "\n\n", "User:", " Hello!") + d.reply(); i > 1 && r.Prefilled > all {
				t.Errorf("request %d: %d tokens were prefilled, want at most the %d from the time on", i, r.Prefilled, all)
			}
		}
	})
}

// Chinese and Japanese sentences end in tokens that take a line's end with them: neither a user's turn nor an answer is
// read again for that.
func TestPunctuation(t *testing.T) {
	eachDesk(t, few, func(t *testing.T, d *desk) {
		for _, c := range []struct{ first, answer string }{
			{"你好，你是谁？", "我很好。"}, {"今日は何曜日ですか。", "今日は日曜日です。"}, {"请继续，", "好，"}, {"Go on.", "Well."},
		} {
			draws := d.encode(" " + c.answer + userStop)
			one := d.ask("ann", chat("", c.first), draws, userStop)
			if one.Text != " "+c.answer {
				t.Fatalf("the answer is %q", one.Text)
			}
			said := []string{c.first, c.answer, "好。"}
			two := d.ask("ann", chat("", said...), draws, userStop)
			d.goesOn(c.answer+" stopped", one, two)
			three := d.ask("ann", chat("", append(said, c.answer, "谢谢。")...), []int{0})
			d.goesOn(c.answer+" in the middle", two, three)
			for _, r := range []Result{two, three} {
				if most := d.turn("谢谢。"); r.Prefilled > most {
					t.Errorf("%s: %d tokens were prefilled, want at most the turn's own %d", c.answer, r.Prefilled, most)
				}
			}
			// An answer that the end-of-text id ends may have the line's end in its last token.
			d.ask("bob", chat("", c.first), append(d.encode(" "+c.answer+"\n"), 0))
			r := d.ask("bob", chat("", said...), []int{0})
			d.want(c.answer+" ended", r, d.turn("好。")-d.count("\n\n")+d.count("\n"))
		}
	})
}

// Answers come back without the white space at their ends, and with ids that encoding them would not give.
func TestTrimmedAnswers(t *testing.T) {
	eachDesk(t, few, func(t *testing.T, d *desk) {
		apart := slices.Concat(d.encode(" H"), d.encode("e"), d.encode("llo"), d.encode(" there"))
		if slices.Equal(d.encode(" Hello there"), apart) {
			t.Fatal("want ids that encoding does not give")
		}
		next := d.turn("Thank you") - d.count("\n\n")
		for name, c := range map[string]struct {
			draws    []int
			returned string
			read     int // of what follows the answer, the turn aside
		}{
			"in other ids":            {apart, "Hello there", d.count("\n\n")},
			"a line's end":            {append(slices.Clone(apart), d.encode("\n")...), "Hello there", d.count("\n")},
			"a line's end, sent back": {append(slices.Clone(apart), d.encode("\n")...), "Hello there\n", d.count("\n")},
			"two":                     {append(slices.Clone(apart), d.encode("\n\n")...), "Hello there", 0},
			"a blank":                 {append(slices.Clone(apart), d.encode(" ")...), "Hello there", d.count("\n\n")},
			"wide blanks":             {d.encode("\u3000\u3000Hello there\u3000"), "Hello there", d.count("\n\n")},
			"lines before":            {append(d.encode("\n\n"), d.encode("Hello there")...), "Hello there", d.count("\n\n")},
		} {
			d.ask(name, chat("", "Hello!"), append(c.draws, 0))
			r := d.ask(name, chat("", "Hello!", c.returned, "Thank you"), d.encode(" Yes"+userStop), userStop)
			d.want(name, r, c.read+next)
			later := d.ask(name, chat("", "Hello!", c.returned, "Thank you", "Yes", "Thank you"), []int{0})
			d.want(name+", a turn later", later, d.count("\n\n")+next-d.stopped())
			d.goesOn(name, r, later)
		}
	})
}

// A prompt of some 40 tokens is as well kept as a long one.
func TestShortPrompts(t *testing.T) {
	eachDesk(t, few, func(t *testing.T, d *desk) {
		const instruction = "Say it in Japanese."
		p := chat(instruction, "Hello!")
		if n := d.whole(p); n > 45 {
			t.Fatalf("%d tokens are no short prompt", n)
		}
		d.want("first", d.ask("ann", p, []int{0}), d.whole(p))
		for _, word := range []string{"You are late", "the time", "Hel"} {
			d.want(word, d.ask("ann", chat(instruction, word), []int{0}), d.turn(word))
			d.want(word+" again", d.ask("ann", chat(instruction, word), []int{0}), d.reply())
		}
	})
}

// After a restart a conversation goes on as it would have, with the ids that were drawn, and with the same states.
func TestRestart(t *testing.T) {
	eachDesk(t, few, func(t *testing.T, d *desk) {
		d.o.Cache.Disk, d.o.Cache.Dir = 1<<27, t.TempDir()
		d.reopen()
		draws := slices.Concat(d.encode(" H"), d.encode("e"), d.encode("llo"), d.encode(" 今日は"), d.encode("。\n"), []int{0})
		d.ask("ann", chat(system, "Hello!"), draws)
		end := d.turn("Thank you") - d.count("\n\n") + d.count("\n")
		for i, identity := range []string{"", "", "another"} {
			d.o.Cache.Identity = identity
			d.reopen()
			p := chat(system, "Hello!", "Hello 今日は。", "Thank you")
			switch r := d.ask("ann", p, []int{0}); {
			case identity != "":
				d.want("another model", r, d.whole(p))
			case i == 0:
				d.want("restarted", r, end)
			default:
				d.want("restarted again", r, d.reply())
			}
			d.want("another user", d.ask(fmt.Sprint("bob", i), p, []int{0}), d.whole(p))
		}
	})
}
