package tui

import (
	"strconv"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"

	"github.com/rwkv-gpu/rwkv-gpu/chat"
	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
)

// Styles of the parts.
var (
	userStyle    = lipgloss.NewStyle().Bold(true)
	thoughtStyle = lipgloss.NewStyle().Faint(true)
	noteStyle    = lipgloss.NewStyle().Faint(true)
	barStyle     = lipgloss.NewStyle().Reverse(true)
)

// View is the whole screen.
func (m *screen) View() string {
	return m.view.view() + "\n" + m.bar() + "\n" + m.input.View()
}

// bar is the line between the conversation and what is being written.
func (m *screen) bar() string {
	left := " " + m.o.Title
	if m.branch != chat.Main {
		left = " " + m.branch + " ·" + left
	}
	right := m.status
	switch {
	case m.asked != "":
		right = "answering, Esc stops"
	case right == "":
		right = "Ctrl+D ends, Alt+Enter: new line"
	}
	right += " "
	left = ansi.Truncate(left, max(m.width-ansi.StringWidth(right)-1, 0), "…")
	gap := max(m.width-ansi.StringWidth(left)-ansi.StringWidth(right), 0)
	return m.paint(barStyle, ansi.Truncate(left+strings.Repeat(" ", gap)+right, m.width, "…"))
}

// refresh draws the conversation anew. It stays where it was scrolled to, unless that was the end, or end says so.
func (m *screen) refresh(end bool) {
	end = end || m.view.atBottom()
	var stay []string
	turns, answered := m.present()
	for i, t := range turns {
		if stay = append(stay, m.block(userStyle, "› "+t.User)...); i == len(turns)-answered {
			break // whose answer is coming
		}
		a := answer{reasoning: paragraph{trim: true}}
		a.reasoning.add(t.Reasoning)
		a.content.add(t.Content)
		stay = append(stay, m.answer(&a)...)
	}
	m.view.stay, m.answered = stay, answered > 0
	m.coming.content.undraw()
	m.coming.reasoning.undraw()
	m.add(end)
}

// add draws what has come since refresh, and leaves what was drawn before.
func (m *screen) add(end bool) {
	end = end || m.view.atBottom()
	var come []string
	switch {
	case m.answered:
		come = m.answer(&m.coming)
	case m.asked != "":
		come = m.block(noteStyle, m.asked)
	}
	if m.note != "" {
		come = append(come, m.block(noteStyle, m.note)...)
	}
	m.view.come = come
	if end {
		m.view.top = m.view.bottom()
	}
	m.view.scroll(m.view.top)
}

// present returns the turns as they are shown. answered is 1 if the last of them is being answered, and 0 if none is.
func (m *screen) present() (turns []chat.Turn, answered int) {
	turns = m.turns
	if m.asked == "" {
		return turns, 0
	}
	name, rest, _ := strings.Cut(m.asked, " ")
	number, said, _ := strings.Cut(strings.TrimSpace(rest), " ")
	switch n, err := strconv.Atoi(number); {
	case !strings.HasPrefix(name, "/") || strings.HasPrefix(name, "//"):
		return append(turns[:len(turns):len(turns)], chat.Turn{User: strings.TrimPrefix(m.asked, "/")}), 1
	case name == "/retry" && len(turns) > 0:
		return turns, 1
	case name == "/edit" && err == nil && n >= 1 && n <= len(turns):
		return append(turns[:n-1:n-1], chat.Turn{User: strings.TrimSpace(said)}), 1
	}
	return turns, 0
}

// answer returns the lines of an answer, its thoughts before it as one line unless they are unfolded.
func (m *screen) answer(a *answer) []string {
	var all []string
	switch n := a.reasoning.words; {
	case n > 0 && m.unfolded:
		all = append(a.reasoning.draw(func(text string) []string { return m.lines(thoughtStyle, text) }), "")
	case n > 0:
		all = m.block(thoughtStyle, "▸ thought, "+words.Plural(n, "word")+" (Ctrl+T shows it)")
	}
	if a.content.text.Len() > 0 {
		all = append(append(all, a.content.draw(func(text string) []string { return m.lines(lipgloss.NewStyle(), text) })...), "")
	}
	return all
}

// block returns the lines of a text that is there, and a blank one.
func (m *screen) block(style lipgloss.Style, text string) []string {
	return append(m.lines(style, text), "")
}

// lines returns a text as lines no wider than the screen. What a model writes is text: nothing of it reaches the terminal as
// a command.
func (m *screen) lines(style lipgloss.Style, text string) []string {
	text = strings.ReplaceAll(words.Shown(text), "\t", "    ")
	width := max(m.width-1, 1)
	text = ansi.Hardwrap(ansi.Wrap(text, width, ""), width, true) // Wrap leaves runs of hyphens whole, however wide
	list := strings.Split(text, "\n")
	for i := range list {
		list[i] = m.paint(style, list[i])
	}
	return list
}

func (m *screen) paint(style lipgloss.Style, text string) string {
	if m.o.Plain {
		return text
	}
	return style.Render(text)
}
