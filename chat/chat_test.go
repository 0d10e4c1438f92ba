package chat

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/constrain"
	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/completion"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// files keeps states by their path, through the form that they have in files.
type files struct{ m *load.Opened }

func (f files) Save(path string, s *state.State) error { return state.Write(f.m.Model, path, s, false) }

func (f files) Load(path string) (*state.State, error) { return state.Read(f.m.Model, path) }

// serve returns a service of a model on the CPU.
func serve(t *testing.T, from load.Options, eo engine.Options, co completion.Options) (*completion.Service, *load.Opened, tokenizer.Tokenizer) {
	t.Helper()
	m, err := load.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := m.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	d, err := device.Open("cpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(m.Model, d, eo)
	if err != nil {
		t.Fatal(err)
	}
	s, err := completion.New(e, tok, co)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(context.Background()), e.Close(), d.Close(), m.Close()); err != nil {
			t.Error(err)
		}
	})
	return s, m, tok
}

// begin returns a conversation with the demo model on the CPU, greedy and exact.
func begin(t *testing.T, o Options) (*Session, files) {
	t.Helper()
	s, m, tok := serve(t, load.Options{}, engine.Options{Slots: 2, Exact: true}, completion.Options{Cache: statecache.Options{Host: 64 << 20}})
	var err error
	if o.Dialect, err = prompt.ByName("template", prompt.G1); err != nil {
		t.Fatal(err)
	}
	o.Params = sample.Default()
	o.Params.Temperature = 0
	o.Max = 12
	return New(s, tok, o), files{m}
}

func quiet(prompt.Delta) error { return nil }

// do does a line that must succeed.
func do(t *testing.T, s *Session, f files, line string) Outcome {
	t.Helper()
	var told strings.Builder
	o, err := s.Do(t.Context(), line, f, func(d prompt.Delta) error { told.WriteString(d.Text); return nil })
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	if o.Reply != nil && strings.TrimRight(told.String(), "\n") != o.Reply.Content {
		t.Errorf("%s: told %q of %q", line, told.String(), o.Reply.Content)
	}
	return o
}

// A turn reads its own tokens, and a changed turn no more than what follows the change.
func TestTurnsCostThemselves(t *testing.T) {
	s, f := begin(t, Options{System: "You tell stories to small children about kind animals who live in a forest."})
	first := do(t, s, f, "Tell me a story about a fox and a hare who meet in the snow.").Reply
	second := do(t, s, f, "And then?").Reply
	third := do(t, s, f, "What did the hare say?").Reply
	if first.Cached != 0 || second.Prompt-second.Cached > 16 || third.Prompt-third.Cached > 20 {
		t.Errorf("%+v, %+v, %+v", first, second, third)
	}
	if again := do(t, s, f, "/retry").Reply; again.Content != third.Content || again.Prompt-again.Cached > 6 {
		t.Errorf("again: %+v, before %+v", again, third)
	}
	if edited := do(t, s, f, "/edit 2 And the fox?").Reply; edited.Prompt-edited.Cached > 17 || len(s.Turns()) != 2 || s.Turns()[1].User != "And the fox?" {
		t.Errorf("edited: %+v, %+v", edited, s.Turns())
	}
	if o := do(t, s, f, "/stats"); !strings.HasPrefix(o.Note, "5 answers: ") {
		t.Errorf("%q", o.Note)
	}
}

func TestBranches(t *testing.T) {
	s, f := begin(t, Options{})
	do(t, s, f, "One.")
	do(t, s, f, "/fork other")
	do(t, s, f, "Two.")
	if len(s.Turns()) != 2 || s.Branch() != "other" {
		t.Errorf("%s: %+v", s.Branch(), s.Turns())
	}
	do(t, s, f, "/switch main")
	if len(s.Turns()) != 1 || !slices.Equal(s.Branches(), []string{"main", "other"}) || do(t, s, f, "/switch").Note != "main\nother" {
		t.Errorf("%v: %+v", s.Branches(), s.Turns())
	}
	do(t, s, f, "/undo")
	if len(s.Turns()) != 0 {
		t.Errorf("%+v", s.Turns())
	}
	do(t, s, f, "/switch other")
	do(t, s, f, "/undo")
	if got := s.Turns(); len(got) != 1 || got[0].User != "One." || !got[0].Answered {
		t.Errorf("%+v", got)
	}
}

// A conversation goes on from its saved state as if it had not been interrupted.
func TestSaveLoad(t *testing.T) {
	s, f := begin(t, Options{})
	path := filepath.Join(t.TempDir(), "state.safetensors")
	do(t, s, f, "Once there was a fox.")
	do(t, s, f, "/save "+path)
	want := do(t, s, f, "And then?").Reply
	other, g := begin(t, Options{})
	do(t, other, g, "/load "+path)
	got := do(t, other, g, "And then?").Reply
	if got.Content != want.Content || got.Prompt >= want.Prompt {
		t.Errorf("after the state %+v, without a break %+v", got, want)
	}
}

func TestSay(t *testing.T) {
	s, f := begin(t, Options{})
	do(t, s, f, "//not a command")
	if got := s.Turns()[0].User; got != "/not a command" {
		t.Errorf("%q", got)
	}
	stop := errors.New("stop")
	r, err := s.Say(t.Context(), "More.", func(prompt.Delta) error { return stop }) // the answer may come in one piece
	if !errors.Is(err, stop) || r == nil || r.Content == "" || len(s.Turns()) != 2 {
		t.Errorf("an answer that was stopped: %+v, %v", r, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := s.Say(ctx, "Never.", quiet); !errors.Is(err, context.Canceled) || r != nil || len(s.Turns()) != 2 {
		t.Errorf("%+v, %v; %d turns", r, err, len(s.Turns()))
	}
	if r := do(t, s, f, "/retry").Reply; r == nil || !s.Turns()[1].Answered {
		t.Errorf("%+v", r)
	}
}

func TestSettings(t *testing.T) {
	s, f := begin(t, Options{})
	for _, line := range []string{"temperature 0.5", "top_p 0.25", "top_k 7", "min_p 0.125", "presence 1", "frequency 2", "penalty_decay 0.5", "seed 9", "max 3", "think fast"} {
		do(t, s, f, "/set "+line)
	}
	o := s.Options()
	if p := o.Params; p.Temperature != 0.5 || p.TopP != 0.25 || p.TopK != 7 || p.MinP != 0.125 || p.Presence != 1 || p.Frequency != 2 || p.PenaltyDecay != 0.5 || p.Seed != 9 || o.Max != 3 || o.Think != prompt.ThinkFast || !o.Seeded {
		t.Errorf("%+v", o)
	}
	do(t, s, f, "/set preset math")
	if p := s.Options().Params; p.Temperature != 0.3 || p.TopP != 0.3 || p.Seed != 9 {
		t.Errorf("%+v", p)
	}
	do(t, s, f, "/system Be kind.")
	if s.Options().System != "Be kind." {
		t.Error("no system message")
	}
	if r := do(t, s, f, "Hi").Reply; r.Drawn != 3 {
		t.Errorf("%+v", r)
	}
}

func TestWrongCommands(t *testing.T) {
	s, f := begin(t, Options{})
	for line, want := range map[string]string{
		"":                    "want a message",
		"  ":                  "want a message",
		"/what":               "/what: there is no such command",
		"/retry":              "/retry: want a message to answer",
		"/undo":               "/undo: want a message to forget",
		"/edit":               "/edit: want the number of a message, 1 to 0",
		"/edit 1 x":           "1 to 0",
		"/fork":               "want a name",
		"/fork main":          `got "main", which is there`,
		"/switch x":           `want one of main, got "x"`,
		"/set":                "want one of temperature",
		"/set heat 3":         `got "heat"`,
		"/set temperature x":  `want a number, got "x"`,
		"/set temperature -1": "temperature",
		"/set max 0":          "at least 1",
		"/set seed -1":        "at least 0",
		"/set think x":        "fast",
		"/set preset x":       "math",
		"/save":               "want a file",
		"/save x":             "want a conversation",
		"/load":               "want a file",
		"/load missing":       "missing",
	} {
		before := s.Options()
		if _, err := s.Do(t.Context(), line, f, quiet); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: want %q, got %v", line, want, err)
		}
		if after := s.Options(); after.Params.Temperature != before.Params.Temperature || after.Max != before.Max || len(s.Turns()) != 0 {
			t.Errorf("%q changed the conversation", line)
		}
	}
	if _, err := s.Do(t.Context(), "/quit", f, quiet); !errors.Is(err, ErrQuit) {
		t.Error(err)
	}
	if o := do(t, s, f, "/help"); o.Note != Help {
		t.Error(o.Note)
	}
}

// A thought that is asked for begins, though the model wants nothing but "</".
func TestThoughts(t *testing.T) {
	s, _ := begin(t, Options{Think: prompt.ThinkFree})
	s.o.Params.Bias = map[int]float32{}
	for _, text := range []string{"<", "/"} {
		ids, err := s.tok.AppendEncode(nil, []byte(text))
		if err != nil || len(ids) != 1 {
			t.Fatalf("%q is %v, %v", text, ids, err)
		}
		s.o.Params.Bias[ids[0]] = 100
	}
	for _, begins := range []bool{false, true} {
		if begins {
			s.o.Thoughts = constrain.NewThoughts(s.tok.Size(), s.tok.Bytes)
		}
		r, err := s.Say(t.Context(), "Hi", quiet)
		if err != nil {
			t.Fatal(err)
		}
		if text := string(tokenizer.Decode(s.tok, r.IDs)); strings.HasPrefix(text, ">") != begins {
			t.Errorf("with thoughts %v: the answer is %q", begins, text)
		}
	}
}
