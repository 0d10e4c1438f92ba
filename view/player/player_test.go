package player

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// played is a player of the embedded model on the CPU.
type played struct {
	*Player
	t   *testing.T
	tok tokenizer.Tokenizer
	e   *engine.Engine
}

func play(t *testing.T, o Options) *played {
	t.Helper()
	m, err := load.Open(load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := m.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(m.Model, &device.Device{}, engine.Options{Slots: max(o.Slots, 2), Seqs: 1})
	if err != nil {
		t.Fatal(err)
	}
	if o.Prompt == nil {
		if o.Prompt, err = tokenizer.Encode(tok, "Once upon a time there was a fox"); err != nil {
			t.Fatal(err)
		}
	}
	p, err := New(e, tok, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := e.Stats().InUse; n != 0 {
			t.Errorf("%d sequences are left", n)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return &played{p, t, tok, e}
}

// until waits until something holds.
func (p *played) until(what string, holds func(Now) bool) Now {
	p.t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if now := p.Now(); holds(now) {
			return now
		}
	}
	p.t.Fatalf("not within 2 minutes: %s: %+v", what, p.Now())
	return Now{}
}

func ids(tokens []Token) (list []int) {
	for _, t := range tokens {
		list = append(list, t.ID)
	}
	return list
}

func ended(n Now) bool { return n.Ended && !n.Playing }

// greedy draws the likeliest tokens.
func greedy() sample.Params { return sample.Params{TopP: 1} }

// state returns the state of what is shown.
func (p *played) state(now Now) []float32 {
	p.t.Helper()
	dst := make([]float32, p.e.Model.Program.StateLen())
	tr, err := p.e.Save([]*engine.Seq{now.Seq}, [][]float32{dst})
	if err == nil {
		err = tr.Wait()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return dst
}

// read returns the state of an own sequence that has read tokens.
func (p *played) read(tokens []Token) []float32 {
	p.t.Helper()
	s, err := p.e.NewSeq(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	defer s.Release()
	for _, t := range tokens { // one by one, as they were drawn; the prompt's cuts do not matter on the CPU
		rows := []engine.Row{{Seq: s, Tokens: []int{t.ID}}}
		if err := p.e.Feed(context.Background(), rows); err != nil || rows[0].Err != nil {
			p.t.Fatal(err, rows[0].Err)
		}
	}
	dst := make([]float32, p.e.Model.Program.StateLen())
	tr, err := p.e.Save([]*engine.Seq{s}, [][]float32{dst})
	if err == nil {
		err = tr.Wait()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return dst
}

// What is shown after so many tokens is the state after these tokens: at the end, in every kept state, and after the
// text has gone back and on by other words.
func TestShownState(t *testing.T) {
	p := play(t, Options{Sample: greedy(), Max: 40, Slots: 8, burst: 4})
	now := p.until("40 tokens", ended)
	if now.Drawn != 40 || now.Fed != len(now.Tokens)-1 {
		t.Fatalf("drew %d of 40, read %d of %d", now.Drawn, now.Fed, len(now.Tokens))
	}
	check := func(now Now) {
		t.Helper()
		if !slices.Equal(p.state(now), p.read(now.Tokens[:now.Fed])) {
			t.Errorf("the state shown at %d is not that of %d tokens", now.At, now.Fed)
		}
	}
	check(now)
	if len(now.Kept) < 3 || len(now.Kept) > 6 || !slices.IsSorted(now.Kept) {
		t.Fatalf("kept after %v tokens", now.Kept)
	}
	for i, fed := range now.Kept {
		p.Seek(i)
		got := p.until("a kept state", func(n Now) bool { return n.At == i })
		if got.Fed != fed {
			t.Errorf("kept state %d has read %d, want %d", i, got.Fed, fed)
		}
		check(got)
	}
	p.Seek(1)
	back := p.until("the second kept state", func(n Now) bool { return n.At == 1 })
	before := len(back.Tokens[:back.Fed]) + 1 // and the token that was drawn then
	p.Type(" The wolf")
	typed, err := tokenizer.Encode(p.tok, " The wolf")
	if err != nil {
		t.Fatal(err)
	}
	p.until("the typed text", func(n Now) bool {
		return n.At < 0 && n.Drawn > back.Kept[1]-back.Kept[0]+5 && len(n.Tokens) > before+len(typed)+5
	})
	p.Toggle()
	now = p.until("a stop", func(n Now) bool { return !n.Playing })
	if got := ids(now.Tokens[before : before+len(typed)]); !slices.Equal(got, typed) {
		t.Errorf("typed %v, text has %v", typed, got)
	}
	if now.Tokens[before].From != Typed || !slices.Equal(ids(now.Tokens[:before]), ids(back.Tokens[:before])) {
		t.Error("the text before the typed one changed")
	}
	check(now)
	last := now
	p.Step(1)
	now = p.until("a step", func(n Now) bool { return n.Fed == last.Fed+1 })
	if now.Playing {
		t.Error("a step goes on by itself")
	}
	check(now)
}

// Going back and on draws the same tokens again, since the draws go back too.
func TestBackAndOn(t *testing.T) {
	o := Options{Sample: sample.Params{Temperature: 1, TopP: 1, Seed: 5, Presence: 0.3}, Max: 60, Slots: 10}
	p := play(t, o)
	first := p.until("60 tokens", ended)
	p.Seek(0)
	p.until("the first state", func(n Now) bool { return n.At == 0 })
	p.Toggle()
	again := p.until("the same length", func(n Now) bool { return n.At < 0 && n.Drawn >= 60 })
	if n := len(first.Tokens); !slices.Equal(ids(again.Tokens[:n]), ids(first.Tokens)) {
		t.Errorf("want\n%v\ngot\n%v", ids(first.Tokens), ids(again.Tokens[:n]))
	}
}

// Left and right go through the kept states, one by one, and right goes on behind the last.
func TestSteps(t *testing.T) {
	p := play(t, Options{Sample: greedy(), Max: 30, Slots: 9, burst: 4})
	now := p.until("30 tokens", ended)
	end := now.Fed
	var seen []int
	for {
		before := p.Now()
		p.Step(-1)
		now = p.until("a step back", func(n Now) bool { return n.At >= 0 && (n.At != before.At || n.At == 0) })
		seen = append(seen, now.Fed)
		if now.At == 0 {
			break
		}
	}
	slices.Reverse(seen)
	if kept := now.Kept; !slices.Equal(seen, kept) && !slices.Equal(seen, kept[:len(kept)-1]) {
		t.Errorf("kept %v, left goes to %v", kept, seen)
	}
	for {
		before := p.Now()
		p.Step(1)
		now = p.until("a step on", func(n Now) bool { return n.Fed > before.Fed })
		if now.Fed > end {
			break
		}
	}
	if now.Fed != end+1 || now.Playing || len(now.Tokens) < end+2 {
		t.Errorf("behind %d tokens right goes to %d", end, now.Fed)
	}
}

// The text is the model's: that of the same draws without a player, and the texts of its tokens spell it.
func TestTextSpelled(t *testing.T) {
	p := play(t, Options{Sample: greedy(), Max: 25, Slots: 2})
	now := p.until("25 tokens", ended)
	var text strings.Builder
	for _, tok := range now.Tokens {
		text.WriteString(tok.Text)
	}
	if want := string(tokenizer.Decode(p.tok, ids(now.Tokens))); text.String() != want {
		t.Errorf("want %q, got %q", want, text.String())
	}
	if len(now.Kept) != 0 {
		t.Errorf("kept %v without a slot for it", now.Kept)
	}
}

// While somebody looks at the device, the player does not open it anew, but afterwards.
func TestKeepOpen(t *testing.T) {
	p := play(t, Options{Sample: greedy(), Max: 1, Slots: 2})
	p.until("a token", ended)
	_ = p.KeepOpen(func() error {
		p.Reopen(0)
		for len(p.asks) > 0 {
			runtime.Gosched()
		}
		time.Sleep(100 * time.Millisecond) // in which the player opens it if nothing holds the player back
		if n := p.e.Stats().Reopened; n != 0 || p.Now().Note != "" {
			t.Errorf("opened %d times meanwhile: %q", n, p.Now().Note)
		}
		return nil
	})
	p.until("the device opened anew", func(n Now) bool { return n.Note != "" && p.e.Stats().Reopened == 1 })
}

// Wrong options are errors that say what is wrong.
func TestRefusals(t *testing.T) {
	if _, err := New(nil, nil, Options{}, nil); err == nil || !strings.Contains(err.Error(), "at least one token") {
		t.Errorf("without a prompt: %v", err)
	}
}
