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
	return m.view.View() + "\n" + m.bar() + "\n" + m.input.View()
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
	var b strings.Builder
	turns, answered := m.present()
	for _, t := range turns[:len(turns)-answered] {
		m.write(&b, userStyle, "› "+t.User)
		m.answer(&b, t.Reasoning, t.Content)
	}
	if answered > 0 {
		m.write(&b, userStyle, "› "+turns[len(turns)-1].User)
	}
	m.before = b.String()
	m.add(end)
}

// add draws what has come since refresh.
func (m *screen) add(end bool) {
	end = end || m.view.AtBottom()
	var b strings.Builder
	b.WriteString(m.before)
	switch _, answered := m.present(); {
	case answered > 0:
		m.answer(&b, m.coming.reasoning.String(), m.coming.content.String())
	case m.asked != "":
		m.write(&b, noteStyle, m.asked)
	}
	if m.note != "" {
		m.write(&b, noteStyle, m.note)
	}
	m.view.SetContent(b.String())
	if end {
		m.view.GotoBottom()
	}
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

// answer writes an answer, its thoughts before it as one line unless they are unfolded.
func (m *screen) answer(b *strings.Builder, reasoning, content string) {
	if reasoning = strings.TrimSpace(reasoning); reasoning != "" {
		if !m.unfolded {
			reasoning = "▸ thought, " + words.Plural(len(strings.Fields(reasoning)), "word") + " (Ctrl+T shows it)"
		}
		m.write(b, thoughtStyle, reasoning)
	}
	if content != "" {
		m.write(b, lipgloss.NewStyle(), content)
	}
}

// write adds a paragraph as wide as the screen. What a model writes is text: nothing of it reaches the terminal as a command.
func (m *screen) write(b *strings.Builder, style lipgloss.Style, text string) {
	text = strings.ReplaceAll(words.Shown(text), "\t", "    ")
	for line := range strings.SplitSeq(ansi.Wrap(text, max(m.width-1, 1), ""), "\n") {
		b.WriteString(m.paint(style, line) + "\n")
	}
	b.WriteByte('\n')
}

func (m *screen) paint(style lipgloss.Style, text string) string {
	if m.o.Plain {
		return text
	}
	return style.Render(text)
}
