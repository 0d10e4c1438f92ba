package font

import (
	"bytes"
	"testing"
)

// Each character has a cell of its own, within the atlas and not empty. Larger displays get larger cells.
func TestSet(t *testing.T) {
	var before int
	for _, scale := range []float64{1, 1.5, 2, 3} {
		s, err := New(scale)
		if err != nil {
			t.Fatal(err)
		}
		for style := range s.Faces {
			f := &s.Faces[style]
			size := f.Width * f.Height
			if size <= 0 || !f.Has('A') || !f.Has('é') || !f.Has('ж') || f.Has('水') {
				t.Fatalf("style %d at %g: %d x %d pixels, A %t, é %t, ж %t, 水 %t", style, scale, f.Width, f.Height, f.Has('A'), f.Has('é'), f.Has('ж'), f.Has('水'))
			}
			seen := map[string]rune{}
			for _, r := range "AaBbgjQ|_@0123456789?" {
				at := f.Cell(r)
				if at < 0 || at+size > len(s.Atlas) {
					t.Fatalf("style %d at %g: %q at %d of %d bytes", style, scale, r, at, len(s.Atlas))
				}
				cell := s.Atlas[at : at+size]
				if bytes.Count(cell, []byte{0}) == size {
					t.Errorf("style %d at %g: %q is empty", style, scale, r)
				}
				if other, ok := seen[string(cell)]; ok {
					t.Errorf("style %d at %g: %q looks like %q", style, scale, r, other)
				}
				seen[string(cell)] = r
			}
			if f.Cell('水') != f.Cell(Missing) {
				t.Errorf("style %d: want a box for what the font lacks", style)
			}
		}
		if size := s.Faces[Body].Width * s.Faces[Body].Height; size <= before || len(s.Atlas)%4 != 0 {
			t.Errorf("at %g: cells of %d pixels, %d before; atlas of %d bytes", scale, size, before, len(s.Atlas))
		} else {
			before = size
		}
	}
}
