package tui

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"

	"github.com/rwkv-gpu/rwkv-gpu/chat"
	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
)

// talked is a conversation of so many turns.
func talked(turns int) *scripted {
	c := &scripted{}
	for i := range turns {
		c.turns = append(c.turns, chat.Turn{User: fmt.Sprintf("What is the story of fox %d?", i), Answered: true,
			Content: strings.Repeat("The fox went to the wood and met a friend. ", 9)})
	}
	return c
}

// written counts what is written.
type written struct {
	mu    sync.Mutex
	bytes int
	more  chan struct{} // full when there was something since it was emptied
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.bytes += len(p)
	w.mu.Unlock()
	select {
	case w.more <- struct{}{}:
	default:
	}
	return len(p), nil
}

// await waits for the next write.
func (w *written) await(t *testing.T) {
	t.Helper()
	select {
	case <-w.more:
	case <-time.After(time.Minute):
		t.Error("nothing is drawn")
	}
}

// bytesPerToken is what a token of an answer behind so many turns has written to a terminal of 160 by 50.
func bytesPerToken(t *testing.T, turns int) int {
	t.Helper()
	const tokens = 60
	out := &written{more: make(chan struct{}, 1)}
	c := talked(turns)
	c.branch = chat.Main
	cost := 0
	c.answer = func(ctx context.Context, _ string, each func(prompt.Delta) error) (chat.Outcome, error) {
		for i := range tokens {
			if i == 1 { // the first is drawn with all that is new since the question
				out.mu.Lock()
				cost = -out.bytes
				out.mu.Unlock()
			}
			select {
			case <-out.more:
			default:
			}
			if err := each(prompt.Delta{Text: fmt.Sprintf(" fox%d", i)}); err != nil {
				return chat.Outcome{}, err
			}
			out.await(t) // so that each token is drawn alone
		}
		out.mu.Lock()
		cost += out.bytes
		out.mu.Unlock()
		return chat.Outcome{}, chat.ErrQuit
	}
	in, keys := io.Pipe()
	defer keys.Close()
	m := newScreen(t.Context(), c, Options{Title: "demo"}, func(error) bool { return false })
	p := tea.NewProgram(m, tea.WithInput(in), tea.WithOutput(out), tea.WithAltScreen(), tea.WithoutSignalHandler())
	m.send = p.Send
	go func() {
		p.Send(tea.WindowSizeMsg{Width: 160, Height: 50})
		p.Send(tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune("More")})
		p.Send(tea.KeyMsg{Type: tea.KeyEnter})
	}()
	if _, err := p.Run(); err != nil {
		t.Fatal(err)
	}
	return cost / (tokens - 1)
}

// A token has only what it changes written: about a line, however long the conversation is. A line more moves all others up.
func TestBytesPerToken(t *testing.T) {
	const most = 600 // of them 4 in 60 that begin a line, for which the 45 lines above are written
	short, long := bytesPerToken(t, 20), bytesPerToken(t, 2000)
	t.Logf("a token has %d bytes written, and %d behind a long conversation", short, long)
	if short > most || long > most {
		t.Errorf("a token has %d bytes written, and %d behind a long conversation", short, long)
	}
}

// A token costs as much memory to draw behind a long conversation as behind a short one.
func TestTokenAllocates(t *testing.T) {
	cost := func(turns int) uint64 {
		d := drive(talked(turns), Options{})
		d.asked = "More"
		d.refresh(true)
		least := uint64(math.MaxUint64) // of several, since other goroutines take memory too
		for range 20 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			d.Update(deltaMsg{Text: " fox"})
			d.View()
			runtime.ReadMemStats(&after)
			least = min(least, after.TotalAlloc-before.TotalAlloc)
		}
		return least
	}
	if short, long := cost(10), cost(5000); long > 2*short+1<<12 {
		t.Errorf("a token costs %d bytes of memory, and %d behind a long conversation", short, long)
	}
}

// However an answer is cut, whatever the screen's size was meanwhile, and whether its thoughts are shown, it is drawn as one
// that comes in one piece.
func TestDrawnAsWhole(t *testing.T) {
	texts := []string{"", "a", " ", "\n", "\n\n", "\t", "狐狸", "word ", "\x1b[31m", strings.Repeat("long ", 30), "e\u0301", "🦊\u200d🦊", "\u00a0", "\r\n",
		strings.Repeat("-", 100), "END"}
	rng := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		d, whole := drive(talked(3), Options{}), drive(talked(3), Options{})
		for _, x := range []*driven{d, whole} {
			x.asked, x.coming = "More", answer{reasoning: paragraph{trim: true}}
			x.refresh(true)
		}
		var said [2]string
		for range rng.IntN(40) {
			switch kind := prompt.Kind(rng.IntN(2)); rng.IntN(12) {
			case 0:
				d.press(tea.KeyCtrlT)
			case 1:
				d.Update(tea.WindowSizeMsg{Width: 20 + rng.IntN(60), Height: 10 + rng.IntN(20)})
			default:
				text := texts[rng.IntN(len(texts))]
				said[kind] += text
				d.Update(deltaMsg{Kind: kind, Text: text})
			}
		}
		whole.unfolded = d.unfolded
		whole.Update(tea.WindowSizeMsg{Width: d.width, Height: d.height})
		whole.Update(deltaMsg{Kind: prompt.ReasoningDelta, Text: said[prompt.ReasoningDelta]})
		whole.Update(deltaMsg{Text: said[prompt.ContentDelta]})
		if got, want := slices.Concat(d.view.stay, d.view.come), slices.Concat(whole.view.stay, whole.view.come); !slices.Equal(got, want) {
			t.Fatalf("%q, drawn as\n%s\nwant\n%s", said, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		text, thought := said[prompt.ContentDelta], strings.TrimSpace(said[prompt.ReasoningDelta])
		var naive []string // by the definition: a paragraph is its text, wrapped
		if thought != "" && d.unfolded {
			naive = append(naive, d.block(thoughtStyle, thought)...)
		} else if thought != "" {
			naive = append(naive, d.block(thoughtStyle, fmt.Sprintf("▸ thought, %s (Ctrl+T shows it)", words.Plural(len(strings.Fields(thought)), "word")))...)
		}
		if text != "" {
			naive = append(naive, d.block(lipgloss.NewStyle(), text)...)
		}
		if !slices.Equal(d.view.come, naive) {
			t.Fatalf("%q, drawn as\n%q\nwant\n%q", said, d.view.come, naive)
		}
		for _, line := range d.view.come {
			if ansi.StringWidth(line) > d.width {
				t.Fatalf("%q, drawn with a line of %d cells in %d: %q", said, ansi.StringWidth(line), d.width, line)
			}
		}
	}
}

// BenchmarkToken is what a token costs the screen besides what is written, behind conversations of some lengths.
func BenchmarkToken(b *testing.B) {
	for _, turns := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint(turns), func(b *testing.B) {
			d := drive(talked(turns), Options{})
			d.asked = "More"
			d.refresh(true)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				d.Update(deltaMsg{Text: " fox"})
				d.View()
				if i%200 == 199 {
					b.StopTimer()
					d.coming = answer{}
					d.refresh(true)
					b.StartTimer()
				}
			}
		})
	}
}
