package scene

import (
	"image/color"

	"github.com/rwkv-gpu/rwkv-gpu/view/font"
)

// Quad is a rectangle of one color, or a character. Rectangles lie within the picture.
type Quad struct {
	X, Y, Width, Height int
	Color               color.RGBA // A is how much it covers what is below
	Glyph               int        // where the character's cell begins in the atlas; -1: a rectangle
}

// Tiles are square pictures of some heads of a layer.
type Tiles struct {
	Layer, First, Count int
	X, Y                int // the corner of the first one
	StepX, StepY        int // from one to the next
	Side                int // pixels
}

// Picture is all that stands in the window. What comes later lies above.
type Picture struct {
	Width, Height int
	Background    color.RGBA
	Boxes         []Quad // which do not overlap
	Tiles         []Tiles
	Marks         []Quad
	Text          []Quad

	Scale int  // of colors: colors.Scales
	Each  bool // reports whether each head has a scale of its own
	Head  int  // of which the keys are wanted, counted over all layers; -1: none
}

var (
	ground = color.RGBA{0x0c, 0x0e, 0x13, 0xff}
	panel  = color.RGBA{0x14, 0x17, 0x1f, 0xff}
	line   = color.RGBA{0x2a, 0x30, 0x3c, 0xff}
	bright = color.RGBA{0xe6, 0xe9, 0xef, 0xff}
	plain  = color.RGBA{0xb4, 0xbc, 0xc9, 0xff}
	dim    = color.RGBA{0x74, 0x7d, 0x8c, 0xff}
	accent = color.RGBA{0xff, 0xb4, 0x54, 0xff}
	cool   = color.RGBA{0x7a, 0xb8, 0xff, 0xff}
)

// mostPixels is the size of a rectangle that one workgroup draws.
const mostPixels = 4096

// pen adds to a picture.
type pen struct {
	*Picture
	set *font.Set
}

// box adds a rectangle to a list, in pieces.
func (p *pen) box(list *[]Quad, x, y, w, h int, c color.RGBA) {
	x0, y0, x1, y1 := max(x, 0), max(y, 0), min(x+w, p.Width), min(y+h, p.Height)
	if x0 >= x1 || y0 >= y1 {
		return
	}
	rows := max(mostPixels/(x1-x0), 1)
	for ; y0 < y1; y0 += rows {
		*list = append(*list, Quad{x0, y0, x1 - x0, min(rows, y1-y0), c, -1})
	}
}

// frame adds the four sides of a rectangle, t pixels thick, outside of it.
func (p *pen) frame(list *[]Quad, x, y, w, h, t int, c color.RGBA) {
	p.box(list, x-t, y-t, w+2*t, t, c)
	p.box(list, x-t, y+h, w+2*t, t, c)
	p.box(list, x-t, y, t, h, c)
	p.box(list, x+w, y, t, h, c)
}

// text adds a line of text and returns where it ends. Characters that do not fit the picture are left out.
func (p *pen) text(style font.Style, x, y int, c color.RGBA, s string) int {
	f := &p.set.Faces[style]
	for _, r := range s {
		if r != ' ' && x >= 0 && y >= 0 && x+f.Width <= p.Width && y+f.Height <= p.Height {
			p.Text = append(p.Text, Quad{x, y, f.Width, f.Height, c, f.Cell(r)})
		}
		x += f.Width
	}
	return x
}

// right adds a line of text that ends at x.
func (p *pen) right(style font.Style, x, y int, c color.RGBA, s string) int {
	x -= p.set.Faces[style].Width * len([]rune(s))
	p.text(style, x, y, c, s)
	return x
}

// fit cuts a text to a width in pixels.
func (p *pen) fit(style font.Style, width int, s string) string {
	r := []rune(s)
	if most := max(width/p.set.Faces[style].Width, 0); len(r) > most {
		return string(append(r[:max(most-1, 0)], '…'))
	}
	return s
}
