package scene

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/view/font"
)

func newScene(t testing.TB, shape Shape, w, h int, scale float64) *Scene {
	t.Helper()
	if sets[scale] == nil {
		var err error
		if sets[scale], err = font.New(scale); err != nil {
			t.Fatal(err)
		}
	}
	s := &Scene{Shape: shape, head: -1, each: true, set: sets[scale], scale: scale}
	if err := s.Resize(w, h, scale); err != nil {
		t.Fatal(err)
	}
	return s
}

// sets are the characters of all tests, by scale: they take long to draw.
var sets = map[float64]*font.Set{}

var shapes = []Shape{{6, 4, 64}, {12, 12, 64}, {32, 40, 64}, {24, 32, 64}, {1, 1, 8}, {3, 2, 20}, {61, 64, 64}}

// Whatever the window and the model, nothing of a picture lies outside of it, and rectangles of a list do not overlap.
func TestPictureWithin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, shape := range shapes {
		for range 12 {
			w, h, scale := 1+r.IntN(2600), 1+r.IntN(1800), []float64{1, 2, 3}[r.IntN(3)]
			s := newScene(t, shape, w, h, scale)
			s.Look(r.IntN(shape.Layers*shape.Heads+1) - 1)
			st := story(r.IntN(400))
			st.Keys, st.KeysOf = make([]float32, shape.Size), s.head
			for i := range st.Keys {
				st.Keys[i] = r.Float32()
			}
			pic := s.Draw(st)
			for name, list := range map[string][]Quad{"boxes": pic.Boxes, "marks": pic.Marks, "text": pic.Text} {
				covered := map[[2]int]int{}
				for i, q := range list {
					if q.X < 0 || q.Y < 0 || q.Width <= 0 || q.Height <= 0 || q.X+q.Width > w || q.Y+q.Height > h {
						t.Fatalf("%v in %d x %d at %g: %s %d at %d, %d of %d x %d", shape, w, h, scale, name, i, q.X, q.Y, q.Width, q.Height)
					}
					if name != "boxes" || w < 500 || h < 400 { // where there is no room, things may meet
						continue
					}
					for _, p := range [][2]int{{q.X, q.Y}, {q.X + q.Width - 1, q.Y + q.Height - 1}, {q.X + q.Width/2, q.Y + q.Height/2}} {
						if before, ok := covered[p]; ok && before != i {
							t.Fatalf("%v in %d x %d: boxes %d and %d meet at %v", shape, w, h, before, i, p)
						}
						covered[p] = i
					}
				}
			}
			for _, tile := range pic.Tiles {
				lastX, lastY := tile.X+(tile.Count-1)*tile.StepX, tile.Y+(tile.Count-1)*tile.StepY
				if tile.X < 0 || tile.Y < 0 || tile.Count < 1 || lastX+tile.Side > w || lastY+tile.Side > h || tile.First+tile.Count > shape.Heads {
					t.Fatalf("%v in %d x %d: tiles %+v", shape, w, h, tile)
				}
			}
		}
	}
}

func story(n int) *Story {
	st := &Story{At: -1, Playing: true, Rate: 12.5, KeysOf: -1}
	for i := range n {
		st.Spans = append(st.Spans, Span{[]string{"Once", " upon", " a", " time", ",\n\n"}[i%5], Origin(i % 3)})
	}
	st.Read = max(n-1, 0)
	for i := range n / 7 {
		st.Kept = append(st.Kept, 7*i)
	}
	return st
}

// A click on any pixel of a head's picture looks at that head, and one more leaves it.
func TestClickHead(t *testing.T) {
	for _, shape := range shapes {
		s := newScene(t, shape, 1400, 800, 1)
		heads := 0
		for _, tile := range s.Draw(story(20)).Tiles {
			for i := range tile.Count {
				x, y := tile.X+i*tile.StepX, tile.Y+i*tile.StepY
				if heads++; heads > 60 && heads%97 > 0 { // of many, some
					continue
				}
				for _, p := range [][2]int{{x, y}, {x + tile.Side - 1, y + tile.Side - 1}} {
					s.Click(p[0], p[1])
					pic := s.Draw(story(20))
					if want := tile.Layer*shape.Heads + i; pic.Head != want || len(pic.Tiles) != 1 || pic.Tiles[0].Layer != tile.Layer || pic.Tiles[0].First != i {
						t.Fatalf("%v: click at %v: want head %d, got %d with %+v", shape, p, want, pic.Head, pic.Tiles)
					}
					s.Click(pic.Tiles[0].X, pic.Tiles[0].Y)
					if pic := s.Draw(story(20)); pic.Head != -1 {
						t.Fatalf("%v: a second click does not leave head %d", shape, pic.Head)
					}
				}
			}
		}
		if heads != shape.Layers*shape.Heads {
			t.Errorf("%v: %d heads are shown", shape, heads)
		}
		s.Click(0, 0)
		if s.head != -1 {
			t.Errorf("%v: a click on nothing looks at head %d", shape, s.head)
		}
	}
}

// What is typed is asked for at Enter, and a space within it does not stop the text.
func TestTyping(t *testing.T) {
	s := newScene(t, shapes[0], 800, 600, 1)
	if w := s.Char(' '); !w.Toggle {
		t.Error("a space does not stop the text")
	}
	for _, r := range "The kinx" {
		if w := s.Char(r); w != (Wish{}) {
			t.Errorf("%q asks for %+v", r, w)
		}
	}
	s.Press(Backspace)
	s.Char('g')
	if w := s.Press(Enter); w.Type != "The king" {
		t.Errorf("Enter asks for %+v", w)
	}
	if w := s.Char(' '); !w.Toggle {
		t.Error("after Enter a space is text")
	}
	s.Press(Enter) // begins to type, as a text may begin with a space
	s.Char(' ')
	s.Char('é')
	if w := s.Press(Enter); w.Type != " é" {
		t.Errorf("Enter asks for %+v", w)
	}
	s.Char('x')
	s.Press(Escape)
	if w := s.Press(Enter); w.Type != "" {
		t.Errorf("after Escape Enter asks for %+v", w)
	}
	for range 2 * mostTyped {
		s.Char('y')
	}
	if len(s.typed) != mostTyped {
		t.Errorf("%d characters are typed, want at most %d", len(s.typed), mostTyped)
	}
}

// The bar's places are the kept states, and the last one is the newest state.
func TestBar(t *testing.T) {
	s := newScene(t, shapes[0], 1000, 600, 1)
	st := story(70)
	s.Draw(st)
	y := s.bar.y + s.bar.h/2
	for i := range len(st.Kept) + 1 {
		x := s.bar.x + (2*i+1)*s.bar.w/(2*(len(st.Kept)+1))
		want := i
		if i == len(st.Kept) {
			want = -1
		}
		if w := s.Click(x, y); !w.Seeks || w.Seek != want {
			t.Errorf("place %d: want %d, got %+v", i, want, w)
		}
		if w := s.Drag(-100, 0); !w.Seeks || w.Seek != 0 {
			t.Errorf("drag to the left end: %+v", w)
		}
		if w := s.Drag(5000, 0); !w.Seeks || w.Seek != -1 {
			t.Errorf("drag to the right end: %+v", w)
		}
		s.Drop()
		if w := s.Drag(s.bar.x, y); w.Seeks {
			t.Errorf("a move without a button asks for %+v", w)
		}
	}
}

// All characters stay, in their order, but for the spaces and ends of lines at which lines are broken.
func TestWrap(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		var text []letter
		for range r.IntN(200) {
			text = append(text, letter{r: []rune("ab   \ncdé")[r.IntN(9)]})
		}
		width := 1 + r.IntN(30)
		var all strings.Builder
		for _, l := range wrap(text, width) {
			if len(l) > width {
				t.Fatalf("a line of %d in %d", len(l), width)
			}
			for _, c := range l {
				all.WriteRune(c.r)
			}
		}
		var want strings.Builder
		for _, c := range text {
			want.WriteRune(c.r)
		}
		drop := strings.NewReplacer(" ", "", "\n", "")
		if got, want := drop.Replace(all.String()), drop.Replace(want.String()); got != want {
			t.Fatalf("width %d: want %q, got %q", width, want, got)
		}
	}
	if lines := wrap([]letter{{r: 'a'}, {r: '\n'}, {r: '\n'}, {r: 'b'}}, 5); len(lines) != 3 {
		t.Errorf("an empty line is lost: %d lines", len(lines))
	}
}

// A scroll goes no further than the text.
func TestScroll(t *testing.T) {
	s := newScene(t, shapes[0], 800, 500, 1)
	st := story(2000)
	s.Draw(st)
	for range 1000 {
		s.Press(PageUp)
	}
	if s.scrolled != s.lines-s.shown || s.shown < 5 {
		t.Errorf("scrolled by %d of %d lines, %d shown", s.scrolled, s.lines, s.shown)
	}
	s.Draw(story(3))
	if s.scrolled != 0 {
		t.Errorf("a short text is scrolled by %d", s.scrolled)
	}
}
