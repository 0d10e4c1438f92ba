// Package colors has scales of colors that people with color blindness can read.
package colors

import (
	"fmt"
	"image/color"

	"gonum.org/v1/plot/palette"
	"gonum.org/v1/plot/palette/moreland"

	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// Count is how many colors a scale has.
const Count = glsl.Colors

// Bad is the color of what is no finite number. No scale has it.
var Bad = color.RGBA{0xff, 0x00, 0xff, 0xff}

// Scale is a scale of colors.
type Scale struct {
	Name   string
	Signed bool // reports whether the middle is 0; otherwise the start is, and signs do not show
	Colors [Count]color.RGBA
}

// Scales returns all scales, the usual one first. Their lightness grows with magnitude, so that they can be read without
// any sight of color. In the signed scale the sides are blue and orange, which every kind of color blindness leaves
// apart.
func Scales() []Scale {
	dark := rgb(0x14161d)
	less := ramp(dark, rgb(0x1d4f91), rgb(0x4f97e0), rgb(0xa6d1ff), rgb(0xeaf6ff))
	more := ramp(dark, rgb(0x8a3b0c), rgb(0xdd7a1e), rgb(0xffc074), rgb(0xfff3df))
	both := Scale{Name: "blue below 0, orange above", Signed: true}
	for i := range Count {
		at := 2*float64(i)/(Count-1) - 1 // -1 to 1
		if at < 0 {
			both.Colors[i] = at01(less, -at)
		} else {
			both.Colors[i] = at01(more, at)
		}
	}
	strength := Scale{Name: "magnitude, from blue to yellow"} // the course of the scale cividis
	map01 := ramp(rgb(0x00224e), rgb(0x3b496c), rgb(0x7d7c78), rgb(0xb8a968), rgb(0xfee838))
	for i := range Count {
		strength.Colors[i] = at01(map01, float64(i)/(Count-1))
	}
	return []Scale{both, strength}
}

func rgb(hex uint32) color.Color {
	return color.RGBA{uint8(hex >> 16), uint8(hex >> 8), uint8(hex), 0xff}
}

// ramp returns the scale from 0 to 1 that passes through colors of growing lightness, in even steps of lightness.
func ramp(list ...color.Color) palette.ColorMap {
	m, err := moreland.NewLuminance(list)
	if err != nil {
		panic(fmt.Sprintf("colors: %v", err)) // of constants
	}
	m.SetMin(0)
	m.SetMax(1)
	return m
}

func at01(m palette.ColorMap, x float64) color.RGBA {
	c, err := m.At(x)
	if err != nil {
		panic(fmt.Sprintf("colors: %v at %g", err, x)) // of constants
	}
	r, g, b, _ := c.RGBA()
	return color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 0xff}
}
