package completion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/schedule"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/load"
)

// onDemo runs a test with the demo model on the CPU.
func onDemo(t *testing.T, o engine.Options, test func(t *testing.T, d *desk)) {
	m, err := load.Open(load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := m.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	onDesk(t, "cpu", m.Model, tok, o, test)
}

// What one namespace has shows in no other: neither by what is cached, nor by where states are kept, nor by the ids
// that an answer gets, whatever the names are.
func TestSpaces(t *testing.T) {
	eachDesk(t, few, func(t *testing.T, d *desk) {
		apart := slices.Concat(d.encode(" H"), d.encode("e"), d.encode("llo"), []int{0})
		said := []string{"Hello!", "Hello", "What is the time?"}
		for range 3 { // so that also the places where texts part are known
			d.ask("ann", chat(system, said[:1]...), apart)
			d.ask("ann", chat(system, said...), []int{0})
		}
		for _, other := range []string{"bob", "", "ann ", "ANN", "initial ann", "ann\x00"} {
			p := chat(system, said...)
			first := d.ask(other, p, []int{0})
			d.want(other, first, d.whole(p)) // in the ids of its own text
			d.want(other+" again", d.ask(other, p, []int{0}), d.reply())
		}
		// States other than the initial one are begun with apart, within a namespace too.
		state := make([]float32, d.e.Model.Program.StateLen())
		for i := range state {
			state[i] = float32(i%7) / 64
		}
		p := chat(system, said...)
		for _, want := range []int{d.whole(p), d.reply()} {
			c, err := d.s.Start(t.Context(), Request{Space: "ann", Prompt: p, From: From{State: state}, Max: 1, Constraint: d.script([]int{0})})
			if err != nil {
				t.Fatal(err)
			}
			r, err := c.Result()
			if err != nil {
				t.Fatal(err)
			}
			d.want("from another state", r, want)
		}
	})
}

// Completions that are alike and wait together: the later ones begin with what the first has read meanwhile.
func TestReadOnce(t *testing.T) {
	onDemo(t, engine.Options{Slots: 1}, func(t *testing.T, d *desk) {
		d.o.Schedule.Quantum = 1 << 20 // the first reads all of it in its turn
		d.reopen()
		long := strings.Repeat("The girl and the dog went to the park. ", 30)
		p := chat(long, "What was the name of the dog?")
		var all []*Completion
		for range 6 {
			c, err := d.s.Start(t.Context(), Request{Space: "ann", Prompt: p, Max: 1, Constraint: d.script([]int{0})})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
		prefilled := 0
		for _, c := range all {
			r, err := c.Result()
			if err != nil {
				t.Fatal(err)
			}
			prefilled += r.Prefilled
		}
		if want := d.whole(p) + 5*d.reply(); prefilled != want {
			t.Errorf("%d tokens were prefilled for six completions, want %d", prefilled, want)
		}
	})
}

// A completion that is canceled, by whatever means, keeps what it was fed, and its text goes on from there.
func TestCanceled(t *testing.T) {
	onDemo(t, few, func(t *testing.T, d *desk) {
		for name, cancel := range map[string]func(c *Completion, ctx context.CancelFunc) bool{
			"by the reader":  func(*Completion, context.CancelFunc) bool { return false },
			"by Cancel":      func(c *Completion, _ context.CancelFunc) bool { c.Cancel(); return true },
			"by its context": func(_ *Completion, cancel context.CancelFunc) bool { cancel(); return true },
		} {
			ctx, end := context.WithCancel(t.Context())
			p := chat(system, "Tell me of the girl and the dog.")
			c, err := d.s.Start(ctx, Request{Space: name, Prompt: p, Max: 100_000, Sample: sample.Params{Ban: []int{0}}})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for range c.Pieces() {
				if n++; n == 20 && !cancel(c, end) {
					break
				}
			}
			end()
			r, err := c.Result()
			if !errors.Is(err, schedule.ErrCanceled) && !errors.Is(err, context.Canceled) || r.Finish != text.Unfinished || r.Drawn < 15 {
				t.Fatalf("%s: %v, %q, %d drawn", name, err, r.Finish, r.Drawn)
			}
			next := slices.Concat(r.Turn, []statecache.Segment{{Text: "\n\n"}}, chat("", "Thank you"))
			d.goesOn(name, r, d.ask(name, next, []int{0}))
		}
	})
}

// A reader who takes nothing ends the completion when the buffer is full, and no other completion waits for him.
func TestSlowReader(t *testing.T) {
	onDemo(t, few, func(t *testing.T, d *desk) {
		d.o.Buffer = 100
		d.reopen()
		slow, err := d.s.Start(t.Context(), Request{Prompt: chat("", "Hello!"), Max: 100_000, Sample: sample.Params{Ban: []int{0}}})
		if err != nil {
			t.Fatal(err)
		}
		r, _ := d.complete(Request{Space: "ann", Prompt: chat("", "Hello!"), Max: 20})
		<-slow.Done()
		got, err := slow.Result()
		if !errors.Is(err, ErrSlowReader) || len(got.Text) < 100 || len(got.Text) > 200 || r.Drawn != 20 {
			t.Errorf("%v, %d bytes, %+v", err, len(got.Text), r)
		}
	})
}

// Bad requests are refused, each by what is wrong, and leave nothing.
func TestRefusals(t *testing.T) {
	onDemo(t, few, func(t *testing.T, d *desk) {
		p := chat("", "Hello!")
		for want, r := range map[string]Request{
			"max: want at least 1 token, got 0":     {Prompt: p},
			"prompt: want at least one token":       {Max: 1},
			"state: want 101376 elements, got 3":    {Prompt: p, Max: 1, From: From{State: make([]float32, 3)}},
			"stop[0]: want a string that is not":    {Prompt: p, Max: 1, Stop: []string{""}},
			"temperature: want":                     {Prompt: p, Max: 1, Sample: sample.Params{Temperature: -1}},
			"want 0 or more alternatives, got -1":   {Prompt: p, Max: 1, Probabilities: Probabilities{Top: -1}},
			"token 0: want an id below 4096, got 9": {Prompt: []statecache.Segment{{IDs: []int{99999}}}, Max: 1},
		} {
			c, err := d.s.Start(t.Context(), r)
			if err == nil {
				_, err = c.Result()
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("want an error with %q, got %v", want, err)
			}
		}
		d.want("afterwards", d.ask("", p, []int{0}), d.whole(p))
		if n := d.e.Stats().InUse; n != 0 {
			t.Errorf("%d slots are in use", n)
		}
		if _, err := New(d.e, d.tok, Options{Cache: statecache.Options{Host: -1}}); err == nil {
			t.Error("want an error of a budget below 0")
		}
		if err := d.s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := d.s.Start(t.Context(), Request{Prompt: p, Max: 1}); !errors.Is(err, schedule.ErrClosed) {
			t.Errorf("after the end: %v", err)
		}
	})
}

// Many talk at once, in namespaces that some share, with few slots, and are canceled now and then: everybody gets what
// he gets alone, nothing stays, and a turn costs no more than itself where nobody had to give way.
func TestManyAtOnce(t *testing.T) {
	onDemo(t, engine.Options{Slots: 3, Seqs: 2, Chunk: 32}, func(t *testing.T, d *desk) {
		d.o.Schedule = schedule.Options{Quantum: 16, Queue: 100}
		d.reopen()
		alone := func(p []statecache.Segment, seed int) string {
			r, _ := d.complete(Request{Prompt: p, Max: 8, Fresh: true, Sample: sample.Params{Temperature: 1, Seed: uint64(seed)}})
			return r.Text
		}
		const users, turns = 8, 3
		var want [users][turns]string
		for u := range users {
			p := chat(system, fmt.Sprint("Hello, I am number ", u/2))
			for n := range turns {
				want[u][n] = alone(p, u/2)
				p = slices.Concat(p, []statecache.Segment{{Text: want[u][n], Answer: true}}, []statecache.Segment{{Text: "\n\n"}}, chat("", "Go on"))
			}
		}
		var wg sync.WaitGroup
		for u := range users {
			wg.Add(1)
			go func() {
				defer wg.Done()
				p := chat(system, fmt.Sprint("Hello, I am number ", u/2))
				for n := range turns {
					if gone, err := d.s.Start(t.Context(), Request{Space: "ann", Prompt: p, Max: 30}); err != nil {
						t.Error(err)
					} else if n > 0 {
						gone.Cancel()
					}
					c, err := d.s.Start(t.Context(), Request{User: fmt.Sprint(u), Space: fmt.Sprint(u / 2), Prompt: p, Max: 8, Sample: sample.Params{Temperature: 1, Seed: uint64(u / 2)}})
					if err != nil {
						t.Error(err)
						return
					}
					if r, err := c.Result(); err != nil || r.Text != want[u][n] {
						t.Errorf("user %d, turn %d: %q, want %q (%v)", u, n, r.Text, want[u][n], err)
					}
					p = slices.Concat(p, []statecache.Segment{{Text: want[u][n], Answer: true}}, []statecache.Segment{{Text: "\n\n"}}, chat("", "Go on"))
				}
			}()
		}
		wg.Wait()
		d.s.scheduler.Close(t.Context())
		if n := d.e.Stats().InUse; n != 0 || d.s.Stats().Cache.Hits < users {
			t.Errorf("%d slots are in use; %+v", n, d.s.Stats())
		}
	})
}

// A text that its constraint ends has come to its end.
func TestFinishOfConstraint(t *testing.T) {
	onDemo(t, few, func(t *testing.T, d *desk) {
		c, err := d.s.Start(t.Context(), Request{Prompt: chat(system, "Hello!"), Max: 9, Constraint: &yes{d.encode("yes"), d.e.Model.Vocab}})
		if err != nil {
			t.Fatal(err)
		}
		if r, err := c.Result(); err != nil || r.Text != "yes" || r.Finish != text.FinishedEnd {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// yes is a constraint that ends with its last id.
type yes struct {
	ids   []int
	vocab int
}

func (y *yes) Mask() ([]uint64, error) {
	mask := make([]uint64, (y.vocab+63)/64)
	mask[y.ids[0]/64] = 1 << (y.ids[0] % 64)
	return mask, nil
}

func (y *yes) Lasts() bool { return false }

func (y *yes) Forced() []int { return nil }

func (y *yes) Accept(int) (bool, error) {
	y.ids = y.ids[1:]
	return len(y.ids) == 0, nil
}

func (y *yes) Clone() sample.Constraint { return &yes{y.ids, y.vocab} }
