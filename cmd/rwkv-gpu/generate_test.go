package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/generate"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// demoPrompt is a prompt with what the training scripts' own model continues it with.
type demoPrompt struct {
	Prompt string
	Tokens []int
	Rows   [2]int
	Greedy []int `json:"greedy_next_32"`
}

func demoPrompts(t *testing.T) []demoPrompt {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(reference.Root(t), "model", "demo", "reference.json"))
	if err != nil {
		t.Fatal(err)
	}
	var ref struct{ Prompts []demoPrompt }
	if err := json.Unmarshal(data, &ref); err != nil || len(ref.Prompts) == 0 {
		t.Fatalf("reference.json: %v", err)
	}
	return ref.Prompts
}

// The embedded model continues each reference prompt as it did where it was trained.
func TestGreedyDemo(t *testing.T) {
	reference.Numbers(t)
	devices(t, func(t *testing.T, device string) {
		for _, p := range demoPrompts(t) {
			want, finish := p.Greedy, "length"
			if end := slices.Index(want, 0); end >= 0 {
				want, finish = want[:end], "end"
			}
			var g generated
			cliJSON(t, &g, "generate", p.Prompt, "-n", "32", "--temperature", "0", "--device", device)
			if !slices.Equal(g.Tokens, want) || g.Finish != finish || g.PromptTokens != len(p.Tokens) {
				t.Errorf("%q: want %v (%s), got %v (%s)", p.Prompt, want, finish, g.Tokens, g.Finish)
			}
			if g.Device == "" || g.PrefillRate <= 0 || g.DecodeRate <= 0 {
				t.Errorf("%q: %+v", p.Prompt, g)
			}
			var d decoded
			cliJSON(t, &d, "tokenize", "--decode", formatTokens(g.Tokens))
			if d.Text != g.Text {
				t.Errorf("%q: want the text of the tokens %q, got %q", p.Prompt, d.Text, g.Text)
			}
		}
	})
}

// The same seed gives the same text on both devices, for 200 tokens.
func TestSameTextOnBothDevices(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	device := vulkanDevice(t)
	for _, sampling := range [][]string{
		{"--temperature", "0"},
		{"--seed", "11"},
		{"--seed", "12", "--top-p", "1", "--top-k", "50", "--min-p", "0.01", "--presence", "0.3", "--frequency", "0.3"},
	} {
		args := append([]string{"generate", "The king had", "-n", "200", "--quiet"}, sampling...)
		onCPU, onGPU := cli(append(args, "--device", "cpu")...), cli(append(args, "--device", device)...)
		if onCPU.status != statusDone || len(onCPU.stdout) < 300 || onCPU.stdout != onGPU.stdout {
			t.Errorf("%q: CPU %s\nGPU %s", sampling, onCPU, onGPU)
		}
	}
}

// What is streamed, and what --json says, is the same text; standard output holds nothing else.
func TestGenerateForms(t *testing.T) {
	base := []string{"generate", "--device", "cpu", "--seed", "3", "-n", "20"}
	var g generated
	cliJSON(t, &g, append(base, "Once upon a time")...)
	if len(g.Tokens) != 20 || g.Finish != "length" || g.Seed != 3 || g.PromptTokens != 4 {
		t.Errorf("%+v", g)
	}
	for _, r := range []answer{
		cli(append(base, "Once upon a time")...),
		cliWith(context.Background(), "Once upon a time\n", nil, append(base, "-")...),
	} {
		if r.status != statusDone || r.stdout != g.Text+"\n" {
			t.Errorf("want %q, got %s", g.Text, r)
		}
		if !strings.Contains(r.stderr, "running on CPU") || !strings.Contains(r.stderr, "generated: 20 tokens") ||
			!strings.Contains(r.stderr, "(length, seed 3)") || strings.Count(r.stderr, "\n") != 2 {
			t.Errorf("notices: %q", r.stderr)
		}
	}
	if r := cli(append(base, "Once", "--quiet")...); r.stderr != "" || r.status != statusDone {
		t.Error(r)
	}
	var stopped generated
	word := strings.Fields(g.Text)[5]
	cliJSON(t, &stopped, append(base, "Once upon a time", "--stop", "never,this", "--stop", word)...)
	if before, _, _ := strings.Cut(g.Text, word); stopped.Finish != "stop" || stopped.Text != before {
		t.Errorf("stop %q: want %q, got %+v", word, before, stopped)
	}
	var bos generated
	cliJSON(t, &bos, append(base, "--bos")...)
	if bos.PromptTokens != 1 || bos.Text == "" {
		t.Errorf("%+v", bos)
	}
	var none generated
	cliJSON(t, &none, append(base, "Once", "-n", "0")...)
	if none.Text != "" || none.Tokens == nil || len(none.Tokens) != 0 || none.Finish != "length" {
		t.Errorf("%+v", none)
	}
}

// Without --seed runs differ, and the seed that is reported repeats one.
func TestSeed(t *testing.T) {
	var a, b, again generated
	base := []string{"generate", "One day", "--device", "cpu", "-n", "40"}
	cliJSON(t, &a, base...)
	cliJSON(t, &b, base...)
	if a.Seed == b.Seed || a.Text == b.Text {
		t.Errorf("two runs gave seeds %d and %d, %q and %q", a.Seed, b.Seed, a.Text, b.Text)
	}
	cliJSON(t, &again, append(base, "--seed", formatTokens([]int{int(a.Seed)}))...)
	if again.Text != a.Text {
		t.Errorf("seed %d: %q, then %q", a.Seed, a.Text, again.Text)
	}
}

// cutter is a reader of standard output that acts after some bytes.
type cutter struct {
	strings.Builder
	left int
	act  func() error
}

func (c *cutter) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 {
		if err := c.act(); err != nil {
			return 0, err
		}
	}
	return c.Builder.Write(p)
}

// Ctrl-C ends the text where it is.
func TestInterrupt(t *testing.T) {
	devices(t, func(t *testing.T, device string) {
		ctx, cancel := context.WithCancel(context.Background())
		out := &cutter{left: 20, act: func() error { cancel(); return nil }}
		r := cliWith(ctx, "", out, "generate", "Once upon a time", "-n", "100000", "--device", device)
		if r.status != statusInterrupted || !strings.HasSuffix(r.stderr, "\nrwkv-gpu: generate: interrupted\n") || !strings.Contains(r.stderr, "(interrupted, seed") {
			t.Error(r)
		}
		if text := out.String(); len(text) < 20 || len(text) > 200 || !strings.HasSuffix(text, "\n") {
			t.Errorf("text %q", text)
		}
	})
	done, cancel := context.WithCancel(context.Background())
	cancel()
	for _, args := range [][]string{{"generate", "x"}, {"generate", "-"}, {"logits", "--tokens", "1"}} {
		wantError(t, cliWith(done, "", nil, append(args, "--quiet", "--device", "cpu")...), statusInterrupted, "interrupted")
	}
}

// Ctrl-C while a long prompt is read, which would take a minute on a slow device, ends that within moments.
func TestInterruptPrompt(t *testing.T) {
	prompt := strings.Repeat("The king had three sons, and the youngest was called Simpleton. ", 8000)
	devices(t, func(t *testing.T, device string) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		interrupted := make(chan time.Time, 1)
		begun := &cutter{act: sync.OnceValue(func() error { // at the notice of the device
			time.AfterFunc(100*time.Millisecond, func() {
				interrupted <- time.Now()
				cancel()
			})
			return nil
		})}
		var out bytes.Buffer
		status := run(ctx, []string{"generate", "-", "--device", device}, strings.NewReader(prompt), &out, begun)
		if took := time.Since(<-interrupted); took > 20*time.Second { // on a busy machine
			t.Errorf("ended %s after the interruption", took)
		}
		if text := begun.String(); status != statusInterrupted || !strings.HasSuffix(text, "\nrwkv-gpu: generate: interrupted\n") ||
			!strings.Contains(text, "generated: 0 tokens") || strings.TrimSpace(out.String()) != "" {
			t.Errorf("status %d, %q, text %q", status, text, out.String())
		}
	})
}

// canceller is a tokenizer that calls cancel when it is asked for its left-th token's text.
type canceller struct {
	tokenizer.Tokenizer
	left   int
	cancel func()
}

func (c *canceller) Bytes(id int) []byte {
	if c.left--; c.left == 0 {
		c.cancel()
	}
	return c.Tokenizer.Bytes(id)
}

// With --json what was generated until Ctrl-C is an answer too.
func TestInterruptJSON(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: &out, stderr: &bytes.Buffer{}, common: commonFlags{device: "cpu", json: true}}
	m, err := a.openModel()
	if err != nil {
		t.Fatal(err)
	}
	tok, err := a.openTokenizer(m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := a.start(context.Background(), m.Model, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	q := generate.Request{Prompt: []int{1660}, Max: 1 << 20, Sample: sample.Params{Ban: []int{text.EndOfText}}}
	if err := a.emit(ctx, s, &canceller{tok, 5, cancel}, q, nil); statusOf(err) != statusInterrupted {
		t.Errorf("want an interruption, got %v", err)
	}
	var g generated
	decode(t, out.String(), &g)
	if g.Finish != "interrupted" || len(g.Tokens) != 5 || g.Text == "" {
		t.Errorf("%+v", g)
	}
	if err := errors.Join(s.Close(), m.Close()); err != nil {
		t.Error(err)
	}
}

// A reader that has seen enough is no error; a full disk is.
func TestOutputEnds(t *testing.T) {
	broken := &cutter{act: func() error { panic("broken") }}
	wantError(t, cliWith(context.Background(), "", broken, "version"), statusFailed, "version: internal error: broken")
	for _, args := range [][]string{{"generate", "Once", "-n", "1000"}, {"generate", "Once", "-n", "5", "--json"}, {"info"}, {"version"},
		{"tokenize", "x"}, {"logits", "--tokens", "1", "--json"}} {
		args = append(args, "--quiet", "--device", "cpu")
		closed := &cutter{act: func() error { return syscall.EPIPE }, left: 0}
		if r := cliWith(context.Background(), "", closed, args...); r.status != statusDone || r.stderr != "" {
			t.Errorf("%q: %s", args, r)
		}
		full := &cutter{act: func() error { return errors.New("no space left on device") }, left: 0}
		wantError(t, cliWith(context.Background(), "", full, args...), statusFailed, "standard output: no space left on device")
	}
}
