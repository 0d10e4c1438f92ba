// Package font has the characters of the window as pictures in one atlas: Go Mono, in three sizes.
package font

import (
	"fmt"
	"image"
	"image/draw"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gomono"
	"golang.org/x/image/font/gofont/gomonobold"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// Style is a face of the set.
type Style uint8

// The styles.
const (
	Body Style = iota
	Small
	Bold
	styles
)

// points are the sizes in pixels of a display that scales nothing.
var points = [styles]float64{Body: 14, Small: 11.5, Bold: 17}

// The characters that the atlas has, where the font has them: Latin, Greek, Cyrillic, punctuation, arrows and boxes.
var blocks = [][2]rune{{0x20, 0x7e}, {0xa0, 0x17f}, {0x370, 0x45f}, {0x2010, 0x2044}, {0x20ac, 0x20ac}, {0x2190, 0x2195}, {0x2200, 0x22ff},
	{0x2500, 0x25ff}}

// Missing stands for a character that the font does not have.
const Missing = '\u25a1' // a box

// Set has the characters of all styles. Each character of a style has a cell of the same size.
type Set struct {
	Atlas []byte // how much each pixel is covered, the cells one after the other, each row by row
	Faces [styles]Face
}

// Face is a style. Sizes are in pixels.
type Face struct {
	Width, Height int
	cells         map[rune]int
}

// Has reports whether the font has the character.
func (f *Face) Has(r rune) bool { _, ok := f.cells[r]; return ok }

// Cell returns where a character's cell begins in the atlas: that of Missing if the font does not have it.
func (f *Face) Cell(r rune) int {
	if at, ok := f.cells[r]; ok {
		return at
	}
	return f.cells[Missing]
}

// New draws the characters for a display that scales by a factor, such as 2.
func New(scale float64) (*Set, error) {
	s := new(Set)
	for style := range styles {
		ttf := gomono.TTF
		if style == Bold {
			ttf = gomonobold.TTF
		}
		if err := s.add(style, ttf, points[style]*scale); err != nil {
			return nil, fmt.Errorf("font of %.1f pixels: %w", points[style]*scale, err)
		}
	}
	for len(s.Atlas)%4 != 0 {
		s.Atlas = append(s.Atlas, 0)
	}
	return s, nil
}

func (s *Set) add(style Style, ttf []byte, pixels float64) error {
	parsed, err := opentype.Parse(ttf)
	if err != nil {
		return err
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: pixels, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return err
	}
	m := face.Metrics()
	advance, _ := face.GlyphAdvance('m')
	f := Face{Width: advance.Ceil(), Height: (m.Ascent + m.Descent).Ceil() + int(pixels/5), cells: map[rune]int{}}
	base := fixed.P(0, m.Ascent.Ceil()+int(pixels/10))
	var buf sfnt.Buffer
	for _, block := range blocks {
		for r := block[0]; r <= block[1]; r++ {
			index, err := parsed.GlyphIndex(&buf, r)
			if err != nil {
				return err
			}
			if index == 0 {
				continue
			}
			cell := image.NewAlpha(image.Rect(0, 0, f.Width, f.Height))
			if at, mask, from, _, ok := face.Glyph(base, r); ok {
				draw.DrawMask(cell, at, image.Opaque, image.Point{}, mask, from, draw.Over)
			}
			f.cells[r] = len(s.Atlas)
			s.Atlas = append(s.Atlas, cell.Pix...)
		}
	}
	if !f.Has(Missing) {
		s.box(&f)
	}
	s.Faces[style] = f
	return nil
}

// box draws the character that stands for those that are missing, where the font lacks that one too.
func (s *Set) box(f *Face) {
	f.cells[Missing] = len(s.Atlas)
	cell := make([]byte, f.Width*f.Height)
	top, bottom, left, right := f.Height/4, f.Height*3/4, 1, f.Width-2
	for y := top; y <= bottom; y++ {
		for x := left; x <= right; x++ {
			if y == top || y == bottom || x == left || x == right {
				cell[y*f.Width+x] = 0xff
			}
		}
	}
	s.Atlas = append(s.Atlas, cell...)
}
