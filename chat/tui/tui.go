package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/charmbracelet/bubbles/textarea"
	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"

	"github.com/rwkv-gpu/rwkv-gpu/chat"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
)

// Conversation is what is shown. While Do runs nothing else is called.
type Conversation interface {
	Do(ctx context.Context, line string, files chat.Files, each func(prompt.Delta) error) (chat.Outcome, error)
	Turns() []chat.Turn
	Branch() string
}

var _ Conversation = (*chat.Session)(nil)

// Options say what stands beside the conversation.
type Options struct {
	Title string // such as the model's name and the device's
	Files chat.Files
	Plain bool // reports whether text has no colours
}

// Run shows the conversation on a terminal until the user ends it, or ctx is done. An error of a command is shown; one that
// ends the conversation for good is returned, as fatal says.
func Run(ctx context.Context, c Conversation, o Options, in io.Reader, out io.Writer, fatal func(error) bool) error {
	m := newScreen(ctx, c, o, fatal)
	p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithAltScreen(), tea.WithoutSignalHandler())
	m.send = p.Send
	_, err := p.Run()
	m.stop()
	<-m.idle
	switch {
	case m.failed != nil:
		return m.failed
	case errors.Is(err, tea.ErrProgramKilled) || ctx.Err() != nil:
		return ctx.Err()
	}
	return err
}

// screen is what the terminal shows.
type screen struct {
	ctx   context.Context
	c     Conversation
	o     Options
	fatal func(error) bool
	send  func(tea.Msg)

	width, height int
	input         textarea.Model
	view          transcript
	unfolded      bool // reports whether thoughts are shown
	note          string
	status        string
	failed        error // what ended the conversation

	turns    []chat.Turn // as they were when the last line was done
	branch   string
	asked    string // the line that is being answered; "" for none
	answered bool   // reports whether coming is shown, as the answer to it
	coming   answer
	stop     context.CancelFunc
	idle     chan struct{} // closed while nothing is being answered
}

// answer is as much of an answer as there is.
type answer struct{ content, reasoning paragraph }

// Messages of the goroutine that answers.
type (
	deltaMsg prompt.Delta
	doneMsg  struct {
		o   chat.Outcome
		err error
	}
)

const inputLines = 3

func newScreen(ctx context.Context, c Conversation, o Options, fatal func(error) bool) *screen {
	input := textarea.New()
	input.Placeholder = "Say something, or /help"
	input.ShowLineNumbers = false
	input.CharLimit = 0
	input.MaxHeight = 0
	input.SetHeight(inputLines)
	input.Prompt = "> "
	plain := lipgloss.NewStyle() // whose colours are right on any background
	input.FocusedStyle.CursorLine, input.FocusedStyle.Text, input.FocusedStyle.Prompt = plain, plain, plain
	input.KeyMap.InsertNewline.SetKeys("alt+enter", "ctrl+j")
	input.Focus()
	idle := make(chan struct{})
	close(idle)
	m := &screen{ctx: ctx, c: c, o: o, fatal: fatal, input: input, view: transcript{height: 20}, idle: idle, stop: func() {}, width: 80, height: 24}
	m.look()
	return m
}

// look takes the conversation as it is now.
func (m *screen) look() {
	m.turns, m.branch = append([]chat.Turn(nil), m.c.Turns()...), m.c.Branch()
}

// Init begins to blink.
func (m *screen) Init() tea.Cmd { return textarea.Blink }

// Update takes what has happened.
func (m *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = max(msg.Width, 20), max(msg.Height, inputLines+4)
		m.input.SetWidth(m.width)
		end := m.view.atBottom()
		m.view.height = m.height - inputLines - 2
		m.refresh(end)
		return m, nil
	case deltaMsg:
		to := &m.coming.content
		if msg.Kind == prompt.ReasoningDelta {
			to = &m.coming.reasoning
		}
		to.add(msg.Text)
		m.add(false)
		return m, nil
	case doneMsg:
		cmd := m.done(msg)
		return m, cmd
	case tea.KeyMsg:
		cmd := m.key(msg)
		return m, cmd
	}
	var cmd tea.Cmd
	m.input, cmd = m.input.Update(msg)
	return m, cmd
}

// key does what a key is for.
func (m *screen) key(k tea.KeyMsg) tea.Cmd {
	switch k.String() {
	case "ctrl+c", "esc":
		switch {
		case m.asked != "":
			m.stop()
		case k.String() == "ctrl+c" && m.input.Value() == "":
			return tea.Quit
		default:
			m.input.Reset()
		}
		return nil
	case "ctrl+d":
		if m.input.Value() == "" && m.asked == "" {
			return tea.Quit
		}
	case "ctrl+t":
		m.unfolded = !m.unfolded
		m.refresh(false)
		return nil
	case "pgup", "pgdown", "ctrl+home", "ctrl+end":
		m.scroll(k.String())
		return nil
	case "up":
		if n := len(m.turns); m.input.Value() == "" && n > 0 {
			m.input.SetValue(fmt.Sprintf("/edit %d %s", n, m.turns[n-1].User))
			return nil
		}
	case "enter":
		return m.enter()
	}
	var cmd tea.Cmd
	m.input, cmd = m.input.Update(k)
	return cmd
}

func (m *screen) scroll(key string) {
	switch key {
	case "pgup":
		m.view.scroll(m.view.top - m.view.height)
	case "pgdown":
		m.view.scroll(m.view.top + m.view.height)
	case "ctrl+home":
		m.view.scroll(0)
	case "ctrl+end":
		m.view.scroll(m.view.bottom())
	}
}

// enter says what was written. While an answer comes it begins a new line: a terminal that does not mark what is pasted
// sends its lines one by one, and they must not run together.
func (m *screen) enter() tea.Cmd {
	line := strings.TrimSpace(m.input.Value())
	switch {
	case line == "":
		return nil
	case m.asked != "":
		m.input.InsertString("\n")
		return nil
	}
	m.input.Reset()
	m.note, m.asked, m.coming = "", line, answer{reasoning: paragraph{trim: true}}
	ctx, stop := context.WithCancel(m.ctx)
	idle := make(chan struct{})
	m.stop, m.idle = stop, idle
	go func() {
		defer close(idle)
		o, err := m.c.Do(ctx, line, m.o.Files, func(d prompt.Delta) error {
			m.send(deltaMsg(d))
			return nil
		})
		m.send(doneMsg{o, err})
	}()
	m.refresh(true)
	return nil
}

// done takes the end of an answer.
func (m *screen) done(d doneMsg) tea.Cmd {
	m.stop()
	line := m.asked
	m.asked, m.note = "", d.o.Note
	m.look()
	if r := d.o.Reply; r != nil {
		m.status = fmt.Sprintf("%.1f tokens/s · %d of %d tokens cached", r.Rate, r.Cached, r.Prompt)
	}
	switch {
	case d.err == nil:
	case errors.Is(d.err, chat.ErrQuit):
		return tea.Quit
	case errors.Is(d.err, context.Canceled):
		if m.note = "stopped"; d.o.Reply == nil {
			m.input.SetValue(line) // nothing was said
		}
	case m.fatal(d.err):
		m.failed = d.err
		return tea.Quit
	default:
		m.note = d.err.Error()
		m.input.SetValue(line)
	}
	m.refresh(false)
	return nil
}
