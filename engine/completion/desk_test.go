package completion

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/synthetic"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
		return
	}
	gputest.Main(m, func() {})
}

// desk is a service on a real engine, and whoever asks it.
type desk struct {
	t   *testing.T
	e   *engine.Engine
	tok tokenizer.Tokenizer
	o   Options
	s   *Service
}

// eachDesk runs a test with the demo model on both executors, and with a model that has the published vocabulary.
func eachDesk(t *testing.T, o engine.Options, test func(t *testing.T, d *desk)) {
	reference.Numbers(t)
	for _, spec := range []string{"cpu", "gpu"} {
		t.Run(spec+"/demo", func(t *testing.T) {
			m, err := load.Open(load.Options{})
			if err != nil {
				t.Fatal(err)
			}
			tok, err := m.Tokenizer()
			if err != nil {
				t.Fatal(err)
			}
			onDesk(t, spec, m.Model, tok, o, test)
		})
	}
	t.Run("cpu/world", func(t *testing.T) {
		tok, err := tokenizer.Open(reference.Shared(t, "vocab", "rwkv_vocab_v20230424.txt"))
		if err != nil {
			t.Fatal(err)
		}
		onDesk(t, "cpu", world(t), tok, o, test)
	})
}

// world returns a model of the published vocabulary that is small otherwise.
func world(t testing.TB) *model.Model {
	f, err := synthetic.New(synthetic.Size{Layers: 2, Embed: 64, Head: 64, FFN: 128, Vocab: 65536, W: 32, A: 32, V: 32, G: 32}, tensor.F16, 1)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func onDesk(t *testing.T, spec string, m *model.Model, tok tokenizer.Tokenizer, o engine.Options, test func(t *testing.T, d *desk)) {
	if spec == "gpu" {
		gputest.Instance(t)
	}
	dev, err := device.Open(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(m, dev, o)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, e: e, tok: tok, o: Options{Cache: statecache.Options{Host: 1 << 27}}}
	d.open()
	test(t, d)
	if err := errors.Join(d.s.Close(context.Background()), e.Close(), dev.Close()); err != nil {
		t.Error(err)
	}
}

// open opens a service; reopen closes the one before.
func (d *desk) open() {
	d.t.Helper()
	var err error
	if d.s, err = New(d.e, d.tok, d.o); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) reopen() {
	d.t.Helper()
	if err := d.s.Close(context.Background()); err != nil {
		d.t.Fatal(err)
	}
	d.open()
}

// script has exactly these ids drawn.
type script struct {
	ids    []int
	mask   []uint64
	forces bool // reports whether they are fed in one piece and not drawn one by one
}

func (d *desk) script(ids []int) *script {
	return &script{ids: ids, mask: make([]uint64, (d.e.Model.Vocab+63)/64)}
}

func (s *script) Mask() ([]uint64, error) {
	mask := make([]uint64, len(s.mask))
	mask[s.ids[0]/64] = 1 << (s.ids[0] % 64)
	return mask, nil
}

func (s *script) Lasts() bool { return false }

func (s *script) Forced() []int {
	if s.forces {
		return s.ids
	}
	return nil
}

func (s *script) Accept(int) (bool, error) {
	s.ids = s.ids[1:]
	return len(s.ids) == 0, nil
}

func (s *script) Clone() sample.Constraint { return &script{s.ids, s.mask, s.forces} }

// ask completes a prompt by the ids given, up to a stop string, and compares the counts with those of the engine.
func (d *desk) ask(space string, prompt []statecache.Segment, draws []int, stop ...string) Result {
	d.t.Helper()
	before := d.e.Stats().Rows
	c, err := d.s.Start(d.t.Context(), Request{Space: space, Prompt: prompt, Constraint: d.script(draws), Max: len(draws), Stop: stop})
	if err != nil {
		d.t.Fatal(err)
	}
	var text strings.Builder
	for p := range c.Pieces() {
		text.WriteString(p.Text)
	}
	r, err := c.Result()
	if err != nil || text.String() != r.Text {
		d.t.Fatalf("pieces %q, text %q: %v", text.String(), r.Text, err)
	}
	if fed := d.e.Stats().Rows - before; fed != r.Prefilled+r.Drawn-1 {
		d.t.Errorf("the engine was fed %d tokens, the result tells of %d and %d drawn ones", fed, r.Prefilled, r.Drawn)
	}
	return r
}

func (d *desk) encode(text string) []int {
	d.t.Helper()
	ids, err := tokenizer.Encode(d.tok, text)
	if err != nil {
		d.t.Fatal(err)
	}
	return ids
}

// count returns how many ids the texts have, each encoded by itself.
func (d *desk) count(texts ...string) (n int) {
	for _, text := range texts {
		n += len(d.encode(text))
	}
	return n
}

// whole is what a prompt costs that nothing is known of.
func (d *desk) whole(p []statecache.Segment) (n int) {
	for _, seg := range p {
		n += d.count(seg.Text)
	}
	return n
}

// want compares what was prefilled with what should have been.
func (d *desk) want(name string, r Result, prefilled int) {
	d.t.Helper()
	if r.Prefilled != prefilled {
		d.t.Errorf("%s: %d of %d tokens were prefilled, want %d", name, r.Prefilled, r.Cached+r.Prefilled, prefilled)
	}
}

// goesOn wants a turn to begin with all that was fed in the turn before it.
func (d *desk) goesOn(name string, before, r Result) {
	d.t.Helper()
	if fed := before.Cached + before.Prefilled + before.Drawn - 1; r.Cached != fed {
		d.t.Errorf("%s: %d tokens were cached, want the %d of the turn before", name, r.Cached, fed)
	}
}

// turn is what a further turn costs: what separates it from the answer before, and itself. The engine was fed so many
// ids of the stop string in place of it.
func (d *desk) turn(user string) int { return d.count("\n\n", "User:", " "+user, "\n\n", "Assistant:") }

func (d *desk) stopped() int { return d.count(userStop) - 1 }

// reply is what is read where the user's words are known.
func (d *desk) reply() int { return d.count("\n\n", "Assistant:") }

const (
	userStop = "\n\nUser:"
	system   = "You are a helpful assistant and the answers you give are short."
)

// chat renders a conversation of a system prompt, and by turns what the user and the assistant said, up to where the
// next answer begins.
func chat(system string, said ...string) (p []statecache.Segment) {
	add := func(text string, end statecache.Kind) { p = append(p, statecache.Segment{Text: text, End: end}) }
	if system != "" {
		add("System:", statecache.None)
		add(" "+system, statecache.Anchor)
		add("\n\n", statecache.None)
	}
	for i, text := range said {
		if i%2 == 1 {
			p = append(p, statecache.Segment{Text: " " + text, Answer: true, End: statecache.Turn})
			add("\n\n", statecache.None)
			continue
		}
		add("User:", statecache.None)
		add(" "+text, statecache.Turn)
		add("\n\n", statecache.None)
		add("Assistant:", statecache.Turn)
	}
	return p
}

// conversation returns what was said, and what was answered, in turns.
func conversation(n int) (said []string) {
	for i := range n {
		said = append(said, fmt.Sprintf("And what is the time in place %d?", i), fmt.Sprintf("The time is %d.", i))
	}
	return slices.Clip(said)
}
