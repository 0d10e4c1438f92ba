package colors

import (
	"image/color"
	"math"
	"testing"

	"github.com/lucasb-eyer/go-colorful"
)

// sights are how people see linear red, green and blue: all of them, and those who lack a kind of cone (Machado,
// Oliveira and Fernandes 2009, "A Physiologically-based Model for Simulation of Color Vision Deficiency", severity 1).
var sights = map[string][3][3]float64{
	"usual":        {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protanopia":   {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"deuteranopia": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
	"tritanopia":   {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}},
}

func seen(c color.RGBA, by [3][3]float64) colorful.Color {
	lin, _ := colorful.MakeColor(c)
	r, g, b := lin.LinearRgb()
	var out [3]float64
	for i, row := range by {
		out[i] = math.Min(math.Max(row[0]*r+row[1]*g+row[2]*b, 0), 1)
	}
	return colorful.LinearRgb(out[0], out[1], out[2])
}

// Every kind of sight tells magnitudes by lightness, and the two signs of a magnitude apart.
func TestScalesForAllSights(t *testing.T) {
	for _, s := range Scales() {
		for sight, by := range sights {
			light := func(i int) float64 { l, _, _ := seen(s.Colors[i], by).Lab(); return l }
			from := 0
			if s.Signed {
				from = Count / 2
			}
			for i := from; i+8 < Count; i += 8 {
				if light(i+8) <= light(i) {
					t.Errorf("%s, %s: color %d is not lighter than %d", s.Name, sight, i+8, i)
				}
			}
			if span := light(Count-1) - light(from); span < 0.6 {
				t.Errorf("%s, %s: want a span of lightness of 60, got %.0f", s.Name, sight, 100*span)
			}
			if !s.Signed {
				continue
			}
			for i := Count/2 + 24; i < Count-24; i += 8 {
				j := Count - 1 - i
				if light(j-8) <= light(j) {
					t.Errorf("%s, %s: color %d is not lighter than %d", s.Name, sight, j-8, j)
				}
				if d := 100 * seen(s.Colors[i], by).DistanceCIEDE2000(seen(s.Colors[j], by)); d < 12 {
					t.Errorf("%s, %s: colors %d and %d differ by %.0f, want 12 or more (CIEDE2000)", s.Name, sight, i, j, d)
				}
			}
		}
	}
}

// The middle of a signed scale is its darkest color, and no scale has the color of what is no number.
func TestScalesOfZero(t *testing.T) {
	for _, s := range Scales() {
		for i, c := range s.Colors {
			if c == Bad {
				t.Errorf("%s: color %d is that of no number", s.Name, i)
			}
		}
		if a, b := s.Colors[Count/2-1], s.Colors[Count/2]; s.Signed && (int(a.R)+int(a.G)+int(a.B) > 120 || int(b.R)+int(b.G)+int(b.B) > 120) {
			t.Errorf("%s: the middle is %v and %v, want dark colors", s.Name, a, b)
		}
	}
}
