package tui

import (
	"strings"
	"unicode"

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
	end = end || m.view.AtBottom()
	m.view.SetContent(m.conversation())
	if end {
		m.view.GotoBottom()
	}
}

func (m *screen) conversation() string {
	var b strings.Builder
	turns := m.turns
	if m.asked != "" && !strings.HasPrefix(m.asked, "/") || strings.HasPrefix(m.asked, "//") {
		turns = append(turns[:len(turns):len(turns)], chat.Turn{User: strings.TrimPrefix(m.asked, "/")})
	}
	for i, t := range turns {
		last := i == len(turns)-1 && m.asked != ""
		m.write(&b, userStyle, "› "+t.User)
		if last {
			m.answer(&b, m.coming.reasoning.String(), m.coming.content.String())
		} else {
			m.answer(&b, t.Reasoning, t.Content)
		}
	}
	if m.asked != "" && len(turns) == len(m.turns) {
		m.write(&b, noteStyle, m.asked)
	}
	if m.note != "" {
		m.write(&b, noteStyle, m.note)
	}
	return b.String()
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
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, text)
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
