package bench

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// series are points by name, in the order of their names' first points.
type series struct {
	names []string
	of    map[string]plotter.XYs
}

// add adds a point, unless it has no place on axes of logarithms.
func (s *series) add(name string, x, y float64) {
	if !(x > 0) || !(y > 0) || math.IsInf(x, 0) {
		return
	}
	if _, ok := s.of[name]; !ok {
		s.names = append(s.names, name)
	}
	s.of[name] = append(s.of[name], plotter.XY{X: x, Y: y})
}

// opsInWords names the ops of a pass.
func opsInWords(test string) string {
	kind, tokens := parts(test)
	if kind == prefill {
		return "ops of a pass of " + tokens + " tokens"
	}
	return "ops of a step"
}

// roofline draws the device's limits as a roof, with a phase's tests and ops below it.
func (r *Report) roofline(phase string) (*picture, error) {
	p := r.newPicture("Roofline of "+phaseNames[phase], "operations for each byte read", "billions of operations per second")
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = decades{}, decades{}
	s := series{of: map[string]plotter.XYs{}}
	for i := range r.Results {
		x := &r.Results[i]
		s.add(inWords(x.Test)+", "+sequences(x.Batch), x.intensity(), x.GFLOPS)
	}
	for _, x := range r.Ops {
		s.add(opsInWords(x.Test)+", "+sequences(x.Batch), x.GFLOPS/x.GBPerS, x.GFLOPS)
	}
	least, most := math.Inf(1), 0.0
	for _, xy := range s.of {
		for _, v := range xy {
			least, most = min(least, v.X), max(most, v.X)
		}
	}
	if err := r.Roofline.roof(p, least, most); err != nil {
		return nil, err
	}
	for i, name := range s.names {
		points, err := plotter.NewScatter(s.of[name])
		if err != nil {
			return nil, err
		}
		points.GlyphStyle = draw.GlyphStyle{Color: plotutil.Color(i), Radius: vg.Points(3), Shape: plotutil.Shape(i)}
		p.Add(points)
		p.legend.Add(name, points)
	}
	return p, nil
}

// beyond is the factor by which a roof goes on beyond the points and the ridge to either side.
const beyond = 5

// roof draws the limits with their names above them, where no point is: reads to the left, multiply-adds to the right.
func (l Roofline) roof(p *picture, least, most float64) error {
	ridge := l.FMAGFLOPS / l.ReadGBPerS
	least, most = min(least, ridge)/beyond, max(most, ridge)*beyond
	line, err := plotter.NewLine(plotter.XYs{{X: least, Y: least * l.ReadGBPerS}, {X: ridge, Y: l.FMAGFLOPS}, {X: most, Y: l.FMAGFLOPS}})
	if err != nil {
		return err
	}
	line.Width = vg.Points(2)
	p.Add(line,
		caption{plotter.XY{X: least, Y: 1.3 * l.FMAGFLOPS}, text.XLeft, "slope: reads, " + number(l.ReadGBPerS) + " GB/s"},
		caption{plotter.XY{X: most, Y: 1.3 * l.FMAGFLOPS}, text.XRight, "level: multiply-adds, " + number(l.FMAGFLOPS) + " GFLOPS"})
	p.Y.Max *= 3 // room for the words
	return nil
}

// caption is words in a picture, above a place. They take no room from the rest, as plotter.Labels would.
type caption struct {
	at    plotter.XY
	align text.XAlignment
	words string
}

// Plot draws the words.
func (t caption) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	style := p.X.Label.TextStyle
	style.XAlign, style.YAlign = t.align, text.YBottom
	c.FillText(style, vg.Point{X: x(t.at.X), Y: y(t.at.Y)}, t.words)
}

// decades marks the powers of ten.
type decades struct{}

// Ticks returns the marks between two values, with all digits from 2 to 9 between them unlabelled.
func (decades) Ticks(least, most float64) []plot.Tick {
	var ticks []plot.Tick
	for e := int(math.Floor(math.Log10(least))); e <= int(math.Ceil(math.Log10(most))); e++ {
		for d := 1; d <= 9; d++ {
			t := plot.Tick{Value: float64(d) * math.Pow10(e)}
			if d == 1 {
				t.Label = fmt.Sprintf("%g", t.Value)
			}
			if t.Value >= least && t.Value <= most {
				ticks = append(ticks, t)
			}
		}
	}
	return ticks
}
