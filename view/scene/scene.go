package scene

import (
	"github.com/rwkv-gpu/rwkv-gpu/view/colors"
	"github.com/rwkv-gpu/rwkv-gpu/view/font"
)

// Shape is that of a model's state: in each layer so many heads with a matrix of Size x Size.
type Shape struct{ Layers, Heads, Size int }

// Scene is the window's content and what somebody has done to it.
type Scene struct {
	Shape  Shape
	Title  string // of the model
	Device string

	set           *font.Set
	width, height int
	scale         float64 // of the display

	head     int // that is looked at closely, counted over all layers; -1: none
	colors   int // of colors.Scales
	each     bool
	typed    []rune
	typing   bool // reports whether keys are text
	scrolled int  // lines of the text, up from its end
	lines    int  // of the text, when it was drawn last
	shown    int  // of them
	grid     grid
	text     area // where the text stands
	bar      area // where the kept states stand
	kept     int  // how many there are
	dragging bool
}

// area is a rectangle of the picture.
type area struct{ x, y, w, h int }

func (a area) has(x, y int) bool { return x >= a.x && x < a.x+a.w && y >= a.y && y < a.y+a.h }

// New makes a scene for a window of so many pixels, on a display that scales by a factor.
func New(shape Shape, width, height int, scale float64) (*Scene, error) {
	s := &Scene{Shape: shape, head: -1, each: true}
	err := s.Resize(width, height, scale)
	return s, err
}

// Resize fits the scene to a window.
func (s *Scene) Resize(width, height int, scale float64) error {
	s.width, s.height = width, height
	scale = min(max(scale, 0.5), 8)
	if s.set != nil && s.scale == scale {
		return nil
	}
	set, err := font.New(scale)
	if err == nil {
		s.set, s.scale = set, scale
	}
	return err
}

// Font returns the characters that pictures are made of. It changes with the display's scale.
func (s *Scene) Font() *font.Set { return s.set }

// Look looks closely at a head, counted over all layers, or with -1 at all of them.
func (s *Scene) Look(head int) {
	if head < s.Shape.Layers*s.Shape.Heads {
		s.head = max(head, -1)
	}
}

// px returns a length in pixels that is n pixels where the display scales nothing.
func (s *Scene) px(n float64) int { return max(int(n*s.scale+0.5), 1) }

// Key is a key that is no text.
type Key uint8

// The keys.
const (
	Enter Key = iota
	Escape
	Backspace
	Left
	Right
	Up
	Down
	Home
	End
	PageUp
	PageDown
	F2
	F3
	Quit // Ctrl and Q
)

// Wish is what somebody wants done, which the scene cannot do.
type Wish struct {
	Toggle bool
	Step   int // see player.Step
	Seek   int // see player.Seek
	Seeks  bool
	Type   string
	Quit   bool
}

// Press takes a key.
func (s *Scene) Press(k Key) (w Wish) {
	switch k {
	case Enter:
		switch {
		case len(s.typed) > 0:
			w.Type = string(s.typed)
			s.typed, s.typing, s.scrolled = nil, false, 0
		default:
			s.typing = !s.typing
		}
	case Escape:
		switch {
		case s.typing:
			s.typed, s.typing = nil, false
		default:
			s.head = -1
		}
	case Backspace:
		if n := len(s.typed); n > 0 {
			s.typed = s.typed[:n-1]
		}
	case Left:
		w.Step = -1
	case Right:
		w.Step = 1
	case Home:
		w.Seek, w.Seeks = 0, s.kept > 0
	case End:
		w.Seek, w.Seeks = -1, true
	case Up:
		s.move(-1)
	case Down:
		s.move(1)
	case PageUp:
		s.scroll(s.shown / 2)
	case PageDown:
		s.scroll(-s.shown / 2)
	case F2:
		s.colors = (s.colors + 1) % len(colors.Scales())
	case F3:
		s.each = !s.each
	case Quit:
		w.Quit = true
	}
	return w
}

// mostTyped is how many characters can be typed at once.
const mostTyped = 4096

// Char takes a character that was typed. A space stops the text or has it go on, unless it is part of what is typed.
func (s *Scene) Char(r rune) (w Wish) {
	if r == ' ' && !s.typing {
		w.Toggle = true
		return w
	}
	if s.typing = true; len(s.typed) < mostTyped && r >= ' ' && r != 0x7f {
		s.typed = append(s.typed, r)
	}
	return w
}

// move looks at another head, if one is looked at.
func (s *Scene) move(by int) {
	if s.head >= 0 {
		s.Look(max(s.head+by, 0))
	}
}

func (s *Scene) scroll(lines int) {
	s.scrolled = min(max(s.scrolled+lines, 0), max(s.lines-s.shown, 0))
}

// Click takes a press of the mouse: on a head, to look at it closely, on a picture that is looked at, to leave it, or on
// the bar of kept states.
func (s *Scene) Click(x, y int) (w Wish) {
	if s.bar.has(x, y) && s.kept > 0 {
		s.dragging = true
		return s.Drag(x, y)
	}
	switch head := s.grid.head(x, y); {
	case s.head >= 0 && head >= 0:
		s.head = -1
	case head >= 0:
		s.head = head
	}
	return w
}

// Drag takes a move of the mouse with its button held.
func (s *Scene) Drag(x, _ int) (w Wish) {
	if !s.dragging || s.kept == 0 || s.bar.w == 0 {
		return w
	}
	at := (x - s.bar.x) * (s.kept + 1) / s.bar.w // the last place is the newest state
	w.Seek, w.Seeks = min(max(at, 0), s.kept), true
	if w.Seek == s.kept {
		w.Seek = -1
	}
	return w
}

// Drop takes the release of the mouse.
func (s *Scene) Drop() { s.dragging = false }

// Wheel takes a turn of the wheel, up or down: over the text it scrolls, over a head it looks closely or leaves.
func (s *Scene) Wheel(x, y int, up bool) {
	switch head := s.grid.head(x, y); {
	case s.text.has(x, y) && up:
		s.scroll(3)
	case s.text.has(x, y):
		s.scroll(-3)
	case head >= 0 && up && s.head < 0:
		s.head = head
	case head >= 0 && !up:
		s.head = -1
	}
}
