package scene

import (
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
	"github.com/rwkv-gpu/rwkv-gpu/view/colors"
	"github.com/rwkv-gpu/rwkv-gpu/view/font"
)

// Story is what there is to show besides the state.
type Story struct {
	Spans   []Span
	Read    int // how many of them the shown state has read
	Playing bool
	Ended   bool
	Rate    float64 // tokens a second
	Kept    []int   // of each kept state, how many spans it has read
	At      int     // which of them is shown; -1: the newest state
	Note    string
	Keys    []float32 // how strong each key of a head is; nil: not known yet
	KeysOf  int       // that head, counted over all layers
}

// Draw returns the picture of a story.
func (s *Scene) Draw(st *Story) *Picture {
	pic := &Picture{Width: s.width, Height: s.height, Background: ground, Scale: s.colors, Each: s.each, Head: s.head}
	p := &pen{pic, s.set}
	m := s.px(18)
	head, foot := s.px(58), s.px(62)
	inner := area{m, head, max(s.width-2*m, 1), max(s.height-head-foot, 1)}
	left := inner
	left.w = min(max(s.width*34/100, s.px(240)), s.px(620))
	right := inner
	right.x += left.w + m
	right.w = max(inner.w-left.w-m, 1)
	s.header(p, st, m, head)
	s.words(p, st, left)
	s.states(p, st, right)
	s.footer(p, st, area{m, s.height - foot, inner.w, foot})
	return pic
}

// header names the model, and says how fast it is.
func (s *Scene) header(p *pen, st *Story, m, h int) {
	bold, small := &s.set.Faces[font.Bold], &s.set.Faces[font.Small]
	y := (h - bold.Height) / 2
	rate := "–"
	if st.Rate > 0 {
		rate = fmt.Sprintf("%.1f", st.Rate)
	}
	low := y + bold.Height - small.Height
	x := p.right(font.Small, s.width-m, low, dim, " tokens/s")
	x = p.right(font.Bold, x, y, accent, rate)
	x = p.right(font.Small, x-s.px(20), low, plain, words.Plural(len(st.Spans), "token"))
	at := p.text(font.Bold, m, y, bright, "rwkv-gpu") + s.px(16)
	p.text(font.Small, at, low, dim, p.fit(font.Small, x-s.px(20)-at, s.Title+"  ·  "+s.Device))
}

// words shows the end of the text, or what it was scrolled to, above what is typed.
func (s *Scene) words(p *pen, st *Story, a area) {
	f := &s.set.Faces[font.Body]
	pad := s.px(14)
	input := f.Height + s.px(16)
	p.box(&p.Boxes, a.x, a.y, a.w, a.h-input-s.px(8), panel)
	p.box(&p.Boxes, a.x, a.y+a.h-input, a.w, input, panel)
	s.text = area{a.x, a.y, a.w, a.h - input - s.px(8)}
	lines := wrap(letters(st), (a.w-2*pad)/f.Width)
	s.lines, s.shown = len(lines), max((s.text.h-2*pad)/f.Height, 0)
	s.scroll(0)
	end := len(lines) - s.scrolled
	y := a.y + pad
	for _, l := range lines[max(end-s.shown, 0):end] {
		x := a.x + pad
		for _, c := range l {
			p.text(font.Body, x, y, c.color, string(c.r))
			x += f.Width
		}
		y += f.Height
	}
	s.typedLine(p, area{a.x, a.y + a.h - input, a.w, input}, pad)
}

// typedLine shows what is typed, or that something can be.
func (s *Scene) typedLine(p *pen, a area, pad int) {
	f := &s.set.Faces[font.Body]
	y := a.y + (a.h-f.Height)/2
	x := p.text(font.Body, a.x+pad, y, accent, "› ")
	if !s.typing {
		p.text(font.Body, x, y, dim, p.fit(font.Body, a.x+a.w-pad-x, "type to continue the text"))
		return
	}
	room := max((a.x+a.w-pad-x)/f.Width-1, 0)
	r := s.typed[max(len(s.typed)-room, 0):]
	x = p.text(font.Body, x, y, cool, string(r))
	p.box(&p.Marks, x+s.px(1), y+s.px(1), s.px(2), f.Height-s.px(2), accent)
}

// states shows the heads, all or one, and the legend of their colors.
func (s *Scene) states(p *pen, st *Story, a area) {
	f := &s.set.Faces[font.Small]
	gap := s.px(8)
	legend := area{a.x, a.y + a.h - f.Height - s.px(20), a.w, f.Height + s.px(20)}
	title := fmt.Sprintf("state: %s of %s, %d × %d numbers each", words.Plural(s.Shape.Layers, "layer"), words.Plural(s.Shape.Heads, "head"), s.Shape.Size, s.Shape.Size)
	if s.head >= 0 {
		title = fmt.Sprintf("layer %d, head %d of the state", s.head/s.Shape.Heads, s.head%s.Shape.Heads)
	}
	p.text(font.Small, a.x, a.y, plain, p.fit(font.Small, a.w, title))
	side := f.Width*7 + gap // for the names at the left
	room := area{a.x + side, a.y + 2*f.Height + 2*gap, max(a.w-side, 1), max(legend.y-a.y-2*f.Height-3*gap, 1)}
	if s.head >= 0 {
		s.close(p, st, room)
	} else {
		s.all(p, room)
	}
	p.Tiles = s.grid.tiles(s.width, s.height)
	s.legend(p, legend)
}

// all shows the heads of all layers.
func (s *Scene) all(p *pen, room area) {
	s.grid = gridIn(room, s.Shape, s.px(6))
	g, f := &s.grid, &s.set.Faces[font.Small]
	columns, rows := g.size()
	of, down := "head", "layer"
	if g.across {
		of, down = down, of
	}
	for i := range columns {
		x, name := g.x+i*g.pitch, fmt.Sprintf("%s %d", of, i)
		if f.Width*len(name) > g.side {
			if name = fmt.Sprint(i); f.Width*len(name) > g.pitch && i%4 > 0 {
				continue
			}
		}
		p.text(font.Small, x+(g.side-f.Width*len(name))/2, g.y-f.Height-s.px(4), dim, name)
	}
	for i := range rows {
		name := fmt.Sprintf("%s %d", down, i)
		if g.pitch < f.Height && i%(f.Height/max(g.pitch, 1)+1) > 0 {
			continue
		}
		p.right(font.Small, g.x-s.px(8), g.y+i*g.pitch+(g.side-f.Height)/2, dim, name)
	}
}

// close shows one head large, with its strongest keys beside or below it.
func (s *Scene) close(p *pen, st *Story, room area) {
	f := &s.set.Faces[font.Small]
	list := f.Width * 26
	bars := s.px(46) // below the picture
	side := max(min(room.w-list, room.h-bars), 1)
	if side >= s.Shape.Size {
		side -= side % s.Shape.Size
	}
	x, y := room.x+max(room.w-list-side, 0)/2, room.y
	s.grid = grid{x: x, y: y, side: side, pitch: side, layers: s.Shape.Layers, heads: s.Shape.Heads, only: s.head}
	p.text(font.Small, x, y-f.Height-s.px(4), dim, "keys →")
	p.right(font.Small, x-s.px(8), y, dim, "values")
	p.right(font.Small, x-s.px(8), y+f.Height, dim, "↓")
	if len(st.Keys) != s.Shape.Size || st.KeysOf != s.head {
		return
	}
	strong := strongest(st.Keys, strongKeys)
	most := st.Keys[strong[0]]
	if !(most > 0) {
		return
	}
	bar := min(side, s.Shape.Size) // of which each stands for a key, or for some where they are narrower than a pixel
	for i := range bar {
		from, to := i*s.Shape.Size/bar, (i+1)*s.Shape.Size/bar
		h := int(float32(bars-s.px(10)) * slices.Max(st.Keys[from:to]) / most)
		x0, x1 := x+i*side/bar, x+(i+1)*side/bar
		c := dim
		if slices.ContainsFunc(strong, func(key int) bool { return key >= from && key < to }) {
			c = accent
		}
		p.box(&p.Boxes, x0, y+side+s.px(6), max(x1-x0-1, 1), max(h, 1), c)
	}
	tx, ty := x+side+s.px(24), y
	p.text(font.Small, tx, ty, plain, "strongest keys")
	for i, key := range strong {
		if ty += f.Height + s.px(5); ty+f.Height > room.y+room.h {
			break
		}
		at := p.text(font.Small, tx, ty, dim, fmt.Sprintf("%4d ", key))
		w := int(float32(f.Width*9) * st.Keys[key] / most)
		p.box(&p.Boxes, at, ty+f.Height/4, max(w, 1), f.Height/2, accent)
		p.text(font.Small, at+f.Width*9+s.px(8), ty, plain, fmt.Sprintf("%.3g", st.Keys[strong[i]]))
	}
}

// strongKeys is how many of a head's keys are listed.
const strongKeys = 8

// tick is a number at a place of the legend, from 0 to 1.
type tick struct {
	at   float64
	name string
}

// Colors stand for square roots, so a quarter is in the middle.
var (
	unsignedTicks = []tick{{0, "0"}, {0.5, "¼"}, {1, "1"}}
	signedTicks   = []tick{{0, "-1"}, {0.25, "-¼"}, {0.5, "0"}, {0.75, "¼"}, {1, "1"}}
)

// legend shows which color stands for which magnitude.
func (s *Scene) legend(p *pen, a area) {
	f := &s.set.Faces[font.Small]
	scale := &colors.Scales()[s.colors]
	w := min(a.w, s.px(360))
	bar := s.px(10)
	y := a.y + s.px(2)
	for i := range w {
		p.box(&p.Boxes, a.x+i, y, 1, bar, scale.Colors[i*colors.Count/w])
	}
	p.frame(&p.Boxes, a.x, y, w, bar, 1, line)
	ticks := unsignedTicks
	if scale.Signed {
		ticks = signedTicks
	}
	for _, t := range ticks {
		x := a.x + int(t.at*float64(w-1))
		n := len([]rune(t.name))
		x = min(max(x-n*f.Width/2, a.x), a.x+w-n*f.Width)
		p.text(font.Small, x, y+bar+s.px(3), dim, t.name)
	}
	of := "1: the largest magnitude of each head"
	if !s.each {
		of = "1: the largest magnitude of all heads"
	}
	p.text(font.Small, a.x+w+s.px(16), y-s.px(2), dim, p.fit(font.Small, a.w-w-s.px(16), of))
}

// footer shows the kept states, what happened, and the keys.
func (s *Scene) footer(p *pen, st *Story, a area) {
	f := &s.set.Faces[font.Small]
	y := a.y + s.px(14)
	s.bar = area{a.x, y - s.px(5), a.w, s.px(16)}
	s.kept = len(st.Kept)
	p.box(&p.Boxes, a.x, y, a.w, s.px(5), line)
	for i := range st.Kept {
		p.box(&p.Marks, a.x+i*a.w/(s.kept+1), y, max(a.w/(s.kept+1)-s.px(2), 1), s.px(5), dim)
	}
	at := s.kept
	if st.At >= 0 {
		at = st.At
	}
	p.box(&p.Text, a.x+at*a.w/(s.kept+1), y-s.px(3), max(a.w/(s.kept+1)-s.px(2), s.px(4)), s.px(11), accent)
	what := "paused"
	switch {
	case st.At >= 0:
		what = fmt.Sprintf("the state after %s", words.Plural(st.Read, "token"))
	case st.Playing:
		what = "writing"
	case st.Ended:
		what = "the end"
	}
	if st.Note != "" {
		what += ": " + st.Note
	}
	y += s.px(20)
	x := p.right(font.Small, a.x+a.w, y, dim, "space stop/go   ← → step   click a head   F2 colors   F3 scale")
	p.text(font.Small, a.x, y, plain, p.fit(font.Small, x-a.x-f.Width*2, what))
}
