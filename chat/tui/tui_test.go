package tui

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/rwkv-gpu/rwkv-gpu/chat"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
)

// scripted answers by a function.
type scripted struct {
	turns  []chat.Turn
	branch string
	answer func(ctx context.Context, line string, each func(prompt.Delta) error) (chat.Outcome, error)
}

func (s *scripted) Do(ctx context.Context, line string, _ chat.Files, each func(prompt.Delta) error) (chat.Outcome, error) {
	o, err := s.answer(ctx, line, each)
	if o.Reply != nil {
		s.turns = append(s.turns, chat.Turn{User: line, Content: o.Reply.Content, Reasoning: o.Reply.Reasoning, Answered: true})
	}
	return o, err
}

func (s *scripted) Turns() []chat.Turn { return s.turns }

func (s *scripted) Branch() string { return s.branch }

// driven is a screen whose program is the test.
type driven struct {
	*screen
	msgs chan tea.Msg
}

func drive(c *scripted, o Options) *driven {
	if c.branch == "" {
		c.branch = chat.Main
	}
	d := &driven{newScreen(context.Background(), c, o, func(err error) bool { return strings.Contains(err.Error(), "device") }), make(chan tea.Msg, 1000)}
	d.send = func(m tea.Msg) { d.msgs <- m }
	d.Update(tea.WindowSizeMsg{Width: 60, Height: 20})
	return d
}

func (d *driven) keys(text string) {
	for _, r := range text {
		d.Update(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}})
	}
}

func (d *driven) press(t tea.KeyType) tea.Cmd {
	_, cmd := d.Update(tea.KeyMsg{Type: t})
	return cmd
}

// until takes messages until the answer is there, and returns what the last did.
func (d *driven) until(t *testing.T) (cmd tea.Cmd) {
	t.Helper()
	for {
		select {
		case m := <-d.msgs:
			_, cmd = d.Update(m)
			if _, over := m.(doneMsg); over {
				return cmd
			}
		case <-time.After(time.Minute):
			t.Fatal("no answer")
		}
	}
}

func quits(cmd tea.Cmd) bool {
	if cmd == nil {
		return false
	}
	_, yes := cmd().(tea.QuitMsg)
	return yes
}

func (d *driven) sees(t *testing.T, parts ...string) {
	t.Helper()
	text := ansi.Strip(d.View())
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in:\n%s", part, text)
		}
	}
	for _, line := range strings.Split(text, "\n") {
		if ansi.StringWidth(line) > d.width {
			t.Errorf("wider than the screen: %q", line)
		}
	}
}

func TestAnswers(t *testing.T) {
	c := &scripted{answer: func(_ context.Context, line string, each func(prompt.Delta) error) (chat.Outcome, error) {
		for _, d := range []prompt.Delta{{Kind: prompt.ReasoningDelta, Text: "Let me think of it."}, {Text: "Well, "}, {Text: "\x1b[31mhello\a " + strings.Repeat("word ", 30)}} {
			if err := each(d); err != nil {
				return chat.Outcome{}, err
			}
		}
		return chat.Outcome{Reply: &chat.Reply{Content: "Well, \x1b[31mhello\a " + strings.Repeat("word ", 30), Reasoning: "Let me think of it.", Rate: 12.34, Cached: 7, Prompt: 9}}, nil
	}}
	d := drive(c, Options{Title: "demo"})
	d.sees(t, "Say something", "demo", "Ctrl+D ends")
	d.keys("Hi there")
	d.press(tea.KeyEnter)
	d.sees(t, "answering")
	d.keys("two")
	if d.press(tea.KeyEnter) != nil || d.asked == "" {
		t.Error("a second line was taken in the middle of an answer")
	}
	d.keys("three")
	if d.input.Value() != "two\nthree" {
		t.Errorf("lines that come in the middle of an answer are %q", d.input.Value())
	}
	d.input.Reset()
	d.until(t)
	d.sees(t, "› Hi there", "▸ thought, 5 words", "Well, \uFFFD[31mhello\uFFFD word", "12.3 tokens/s · 7 of 9 tokens cached")
	if strings.Contains(d.View(), "\a") || strings.Contains(d.View(), "\x1b[31mhello") {
		t.Error("the model's text reaches the terminal as commands")
	}
	d.press(tea.KeyCtrlT)
	d.sees(t, "Let me think of it.")
	d.press(tea.KeyUp)
	if d.input.Value() != "/edit 1 Hi there" {
		t.Errorf("%q", d.input.Value())
	}
	if d.press(tea.KeyEsc); d.input.Value() != "" {
		t.Error("Escape leaves the line")
	}
	if !quits(d.press(tea.KeyCtrlD)) {
		t.Error("Ctrl+D does not end")
	}
}

// Escape and Ctrl+C stop an answer. What was not said at all is there to be said again.
func TestStops(t *testing.T) {
	for _, key := range []tea.KeyType{tea.KeyEsc, tea.KeyCtrlC} {
		begun := make(chan struct{}, 1)
		c := &scripted{answer: func(ctx context.Context, _ string, _ func(prompt.Delta) error) (chat.Outcome, error) {
			begun <- struct{}{}
			<-ctx.Done()
			return chat.Outcome{}, ctx.Err()
		}}
		d := drive(c, Options{})
		d.keys("Hi")
		d.press(tea.KeyEnter)
		<-begun
		if d.press(tea.KeyCtrlD); d.asked == "" {
			t.Error("Ctrl+D ends in the middle of an answer")
		}
		if quits(d.press(key)) || quits(d.until(t)) {
			t.Error("the conversation ends")
		}
		d.sees(t, "stopped")
		if d.input.Value() != "Hi" {
			t.Errorf("%q", d.input.Value())
		}
	}
}

func TestErrors(t *testing.T) {
	var err error
	c := &scripted{branch: "two", answer: func(context.Context, string, func(prompt.Delta) error) (chat.Outcome, error) {
		return chat.Outcome{Note: "a note"}, err
	}}
	d := drive(c, Options{Title: strings.Repeat("long ", 20), Plain: true})
	for _, test := range []struct {
		err  error
		sees string
		ends bool
	}{{nil, "a note", false}, {errors.New("/what: no such command"), "/what: no such", false}, {chat.ErrQuit, "", true}, {errors.New("the device is lost"), "", true}} {
		err = test.err
		d.input.SetValue("/x")
		d.press(tea.KeyEnter)
		if got := quits(d.until(t)); got != test.ends {
			t.Errorf("%v: ends %v", err, got)
		}
		d.sees(t, test.sees, "two · long")
	}
	if d.failed == nil || d.failed.Error() != "the device is lost" {
		t.Errorf("%v", d.failed)
	}
	if strings.Contains(d.view.view(), "\x1b[1m") {
		t.Error("colours in a plain screen")
	}
}

// A screen of any size shows something, and a long conversation can be looked through.
func TestSizes(t *testing.T) {
	c := &scripted{}
	for range 30 {
		c.turns = append(c.turns, chat.Turn{User: "Q", Content: strings.Repeat("A long answer. ", 10), Answered: true})
	}
	d := drive(c, Options{Title: "demo"})
	if !d.view.atBottom() {
		t.Error("the end is not shown")
	}
	d.press(tea.KeyPgUp)
	d.Update(tea.WindowSizeMsg{Width: 61, Height: 21})
	d.press(tea.KeyCtrlHome)
	if d.view.top != 0 {
		t.Error("the beginning is not shown")
	}
	d.press(tea.KeyCtrlEnd)
	d.press(tea.KeyPgDown)
	for _, size := range [][2]int{{1, 1}, {20, 7}, {300, 100}, {61, 3}} {
		d.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		if d.View() == "" {
			t.Errorf("%v: nothing", size)
		}
	}
}

// A whole program ends by /quit, and by its context.
func TestRun(t *testing.T) {
	c := &scripted{branch: chat.Main, answer: func(_ context.Context, line string, _ func(prompt.Delta) error) (chat.Outcome, error) {
		if line == "/quit" {
			return chat.Outcome{}, chat.ErrQuit
		}
		return chat.Outcome{Note: "noted"}, nil
	}}
	never := func(error) bool { return false }
	if err := Run(t.Context(), c, Options{Title: "demo"}, strings.NewReader("/quit\r"), new(bytes.Buffer), never); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	in, hold := io.Pipe()
	defer hold.Close()
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := Run(ctx, c, Options{}, in, io.Discard, never); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// While a command answers, the conversation is shown as it will be: another answer to the last message, or to a changed
// one. Under other commands it stays.
func TestCommandsUnderWay(t *testing.T) {
	for line, want := range map[string]struct{ sees, not []string }{
		"/retry":         {[]string{"› one", "First.", "› two", "Coming."}, []string{"Second."}},
		"/edit 1 other":  {[]string{"› other", "Coming."}, []string{"First.", "› two", "Second."}},
		"/edit 2  again": {[]string{"› one", "First.", "› again", "Coming."}, []string{"› two", "Second."}},
		"/edit 9 other":  {[]string{"First.", "Second.", "/edit 9 other"}, []string{"Coming."}},
		"/stats":         {[]string{"› one", "First.", "› two", "Second.", "/stats"}, []string{"Coming."}},
		"//three":        {[]string{"First.", "Second.", "› /three", "Coming."}, nil},
		"three":          {[]string{"First.", "Second.", "› three", "Coming."}, nil},
	} {
		begun, end := make(chan struct{}), make(chan struct{})
		c := &scripted{turns: []chat.Turn{{User: "one", Content: "First.", Answered: true}, {User: "two", Content: "Second.", Answered: true}},
			answer: func(_ context.Context, _ string, each func(prompt.Delta) error) (chat.Outcome, error) {
				err := each(prompt.Delta{Text: "Coming."})
				close(begun)
				<-end
				return chat.Outcome{}, err
			}}
		d := drive(c, Options{})
		d.input.SetValue(line)
		d.press(tea.KeyEnter)
		<-begun
		d.Update(<-d.msgs)
		d.sees(t, want.sees...)
		for _, part := range want.not {
			if strings.Contains(ansi.Strip(d.View()), part) {
				t.Errorf("%s: %q is shown:\n%s", line, part, ansi.Strip(d.View()))
			}
		}
		close(end)
		d.until(t)
	}
}

// Who reads further up stays there while an answer comes and ends, and when the screen gets another size.
func TestScrolledUp(t *testing.T) {
	c := &scripted{answer: func(_ context.Context, _ string, each func(prompt.Delta) error) (chat.Outcome, error) {
		return chat.Outcome{Reply: &chat.Reply{Content: "The answer."}}, each(prompt.Delta{Text: "The answer."})
	}}
	for range 30 {
		c.turns = append(c.turns, chat.Turn{User: "Q", Content: "An answer.", Answered: true})
	}
	d := drive(c, Options{})
	d.keys("Hi")
	d.press(tea.KeyEnter)
	d.press(tea.KeyCtrlHome)
	d.until(t)
	d.Update(tea.WindowSizeMsg{Width: 50, Height: 25})
	if d.view.top != 0 {
		t.Error("the screen moved")
	}
	d.press(tea.KeyCtrlEnd)
	d.sees(t, "› Hi", "The answer.")
	d.Update(tea.WindowSizeMsg{Width: 30, Height: 12})
	d.sees(t, "The answer.")
}
