package generate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// story generates from a prompt on the CPU and wants no error.
func story(t *testing.T, e *engine.Engine, tok tokenizer.Tokenizer, q Request) *Result {
	t.Helper()
	s := newSeq(t, e)
	r, err := Text(context.Background(), e, s, tok, q)
	if err != nil {
		t.Fatal(err)
	}
	s.Release()
	return r
}

// What is emitted piece by piece is the text, which is that of the tokens up to a stop string; the counts fit.
func TestText(t *testing.T) {
	m, tok := demo(t)
	e := newEngine(t, m, &device.Device{}, engine.Options{Chunk: 4})
	prompt := encode(tok, "Once upon a time, there was a little girl named Lily.")
	run := func(q Request) (*Result, string) {
		var emitted strings.Builder
		q.Prompt, q.Emit = prompt, func(s string) error {
			if s == "" {
				t.Error("nothing was emitted")
			}
			emitted.WriteString(s)
			return nil
		}
		r := story(t, e, tok, q)
		if emitted.String() != r.Text || r.PromptTokens != len(prompt) {
			t.Errorf("emitted %q, text %q, %d prompt tokens", emitted.String(), r.Text, r.PromptTokens)
		}
		return r, r.Text
	}
	whole, written := run(Request{Max: 30})
	if want := string(tokenizer.Decode(tok, whole.Tokens)); written != want || whole.Finish != text.FinishedLength || len(whole.Tokens) != 30 {
		t.Errorf("%q of %d tokens, finish %s, want %q", written, len(whole.Tokens), whole.Finish, want)
	}
	if whole.DecodedTokens != 29 || whole.PrefillRate() <= 0 || whole.DecodeRate() <= 0 {
		t.Errorf("%d decoded, rates %v and %v", whole.DecodedTokens, whole.PrefillRate(), whole.DecodeRate())
	}
	for _, stop := range []string{written[10:14], written[len(written)-3:], written[:1]} {
		at := strings.Index(written, stop)
		if r, got := run(Request{Max: 30, Stop: []string{"nowhere to be found", stop}}); got != written[:at] || r.Finish != text.FinishedStop {
			t.Errorf("stopped at %q with %q, finish %s, want %q", stop, got, r.Finish, written[:at])
		}
	}
	for _, n := range []int{0, 1, 2} {
		if r, _ := run(Request{Max: n}); !slices.Equal(r.Tokens, whole.Tokens[:n]) || r.Finish != text.FinishedLength {
			t.Errorf("%d tokens: %v, finish %s", n, r.Tokens, r.Finish)
		}
	}
	var ban []int
	for id := 1; id < e.Model.Vocab; id++ {
		ban = append(ban, id)
	}
	if r, got := run(Request{Max: 30, Sample: sample.Params{Ban: ban}}); got != "" || r.Finish != text.FinishedEnd || len(r.Tokens) != 0 {
		t.Errorf("end of text at once: %q, finish %s", got, r.Finish)
	}
}

// A continued slot goes on where it was: two prompts in a row are one.
func TestTextContinues(t *testing.T) {
	m, tok := demo(t)
	e := newEngine(t, m, &device.Device{}, engine.Options{Slots: 2})
	prompt := encode(tok, "The king had three sons, and the youngest")
	whole := story(t, e, tok, Request{Prompt: prompt, Max: 12})
	s := newSeq(t, e)
	for _, q := range []Request{{Prompt: prompt[:4]}, {Prompt: prompt[4:], Max: 12}} {
		r, err := Text(context.Background(), e, s, tok, q)
		if err != nil {
			t.Fatal(err)
		}
		if q.Max > 0 && !slices.Equal(r.Tokens, whole.Tokens) {
			t.Errorf("in two calls %v, in one %v", r.Tokens, whole.Tokens)
		}
	}
}

// Bad requests, errors of Emit and the end of the context come back; what was written until then is there.
func TestTextErrors(t *testing.T) {
	m, tok := demo(t)
	e := newEngine(t, m, &device.Device{}, engine.Options{Chunk: 2})
	s := newSeq(t, e)
	for want, q := range map[string]Request{
		"prompt: want at least one token":  {Max: 3},
		"temperature: want a finite value": {Prompt: []int{1}, Max: 3, Sample: sample.Params{Temperature: -1}},
		"stop":                             {Prompt: []int{1}, Max: 3, Stop: []string{""}},
		"token 0: want an id below 4096":   {Prompt: []int{4096}, Max: 3},
		"ban[0]: want an id below 4096":    {Prompt: []int{1}, Max: 3, Sample: sample.Params{Ban: []int{4096}}},
	} {
		if _, err := Text(context.Background(), e, s, tok, q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	other := newEngine(t, e.Model, &device.Device{}, engine.Options{})
	gone := newSeq(t, other)
	gone.Release()
	if _, err := Text(context.Background(), other, gone, tok, Request{Prompt: []int{1}}); !errors.Is(err, engine.ErrNotInUse) {
		t.Errorf("a sequence that was released: %v", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Text(context.Background(), other, gone, tok, Request{Prompt: []int{1}, Max: 1}); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("an engine that was closed: %v", err)
	}
	boom := errors.New("boom")
	calls, first := 0, ""
	r, err := Text(context.Background(), e, s, tok, Request{Prompt: []int{1660, 2383}, Max: 9, Emit: func(text string) error {
		if first == "" {
			first = text
		}
		if calls++; calls == 3 {
			return boom
		}
		return nil
	}})
	if !errors.Is(err, boom) || r == nil || len(r.Tokens) == 0 || len(r.Tokens) >= 9 {
		t.Errorf("Emit's error: %v after %+v", err, r)
	}
	held := first[len(first)-1:] + "\x01" // a stop that the first piece's end may begin
	restart(t, e, s)
	calls = 0
	if _, err = Text(context.Background(), e, s, tok, Request{Prompt: []int{1660, 2383}, Max: 9, Stop: []string{held}, Emit: func(string) error {
		calls++
		return boom
	}}); !errors.Is(err, boom) || calls != 1 {
		t.Errorf("want no call of Emit after its error, got %d in all (%v)", calls, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	calls = 0
	r, err = Text(ctx, e, s, tok, Request{Prompt: []int{1660, 2383}, Max: 50, Emit: func(string) error {
		if calls++; calls == 4 {
			cancel()
		}
		return nil
	}})
	if !errors.Is(err, context.Canceled) || r.Text == "" || len(r.Tokens) >= 50 || r.Finish != "" {
		t.Errorf("a context that ends: %v after %+v", err, r)
	}
	if r, err = Text(ctx, e, s, tok, Request{Prompt: []int{1, 2, 3}, Max: 5}); !errors.Is(err, context.Canceled) || len(r.Tokens) != 0 {
		t.Errorf("a context that had ended: %v after %+v", err, r)
	}
}

// A context that ends while a prompt is read ends it within a pass, before the next step or submission; the slot can
// then begin anew.
func TestTextInterrupted(t *testing.T) {
	m, tok := demo(t)
	eachDevice(t, func(t *testing.T, d *device.Device) {
		e := newEngine(t, m, d, engine.Options{Chunk: 64})
		s := newSeq(t, e)
		q := Request{Prompt: encode(tok, strings.Repeat("The king had three sons. ", 10))[:64], Max: 3}
		for _, left := range []int{0, 1} {
			ctx, before := &countdown{t.Context(), left}, e.Stats().Work
			r, err := Text(ctx, e, s, tok, q)
			if !errors.Is(err, context.Canceled) || len(r.Tokens) != 0 || ctx.left != -1 {
				t.Errorf("want nothing and the context's error at once, got %v, %v", r.Tokens, err)
			}
			if w := e.Stats().Work.Sub(before); w.Passes != 0 {
				t.Errorf("%d passes were done", w.Passes)
			}
		}
		restart(t, e, s)
		got, err := Text(t.Context(), e, s, tok, q)
		if want := story(t, newEngine(t, m, d, engine.Options{}), tok, q); err != nil || !slices.Equal(got.Tokens, want.Tokens) {
			t.Errorf("afterwards %v, want %v (%v)", got.Tokens, want.Tokens, err)
		}
	})
}
