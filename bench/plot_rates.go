package bench

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
)

// axis is the axis that tokens per second are drawn against.
type axis struct {
	what, label string
	of          func(*Result) int
	rest        func(*Result) string // what differs between lines besides the test
}

var (
	batchAxis = axis{"sequences at once", "sequences at once", func(x *Result) int { return x.Batch }, func(x *Result) string {
		if x.Depth == 0 {
			return ""
		}
		return fmt.Sprintf(", after %d tokens", x.Depth)
	}}
	depthAxis = axis{"what is behind a sequence", "tokens behind each sequence", func(x *Result) int { return x.Depth },
		func(x *Result) string { return ", " + sequences(x.Batch) }}
)

// rates draws tokens per second, with least and most, as a line for each test of a phase. It returns nil if no line has
// two places on the axis.
func (r *Report) rates(phase string, a axis) (*picture, error) {
	title := strings.ToUpper(phaseNames[phase][:1]) + phaseNames[phase][1:] + ": tokens per second against " + a.what
	p := r.newPicture(title, a.label, "tokens per second, all sequences together")
	lines := map[string][]*Result{}
	var names []string
	for i := range r.Results {
		x := &r.Results[i]
		name := inWords(x.Test) + a.rest(x)
		if lines[name] == nil {
			names = append(names, name)
		}
		lines[name] = append(lines[name], x)
	}
	drawn := 0
	for _, name := range names {
		if len(lines[name]) < 2 {
			continue
		}
		if err := a.line(p, name, lines[name], drawn); err != nil {
			return nil, err
		}
		drawn++
	}
	if drawn == 0 {
		return nil, nil
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = whole{}, whole{}
	margin := (p.X.Max - p.X.Min) / 50
	p.X.Min, p.X.Max = p.X.Min-margin, p.X.Max+margin
	p.Y.Min = 0
	p.Y.Max *= 1.05
	return p, nil
}

// whole marks what plot.DefaultTicks marks, without zeros behind a point.
type whole struct{}

// Ticks returns the marks between two values.
func (whole) Ticks(least, most float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(least, most)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = strconv.FormatFloat(ticks[i].Value, 'f', -1, 64)
		}
	}
	return ticks
}

// spread is a line's points with their errors.
type spread struct {
	plotter.XYs
	plotter.YErrors
}

func (a axis) line(p *picture, name string, results []*Result, n int) error {
	slices.SortFunc(results, func(x, y *Result) int { return cmp.Compare(a.of(x), a.of(y)) })
	var s spread
	for _, x := range results {
		s.XYs = append(s.XYs, plotter.XY{X: float64(a.of(x)), Y: x.Rates.Median})
		s.YErrors = append(s.YErrors, struct{ Low, High float64 }{x.Rates.Median - x.Rates.Min, x.Rates.Max - x.Rates.Median})
	}
	line, points, err := plotter.NewLinePoints(s.XYs)
	if err != nil {
		return err
	}
	line.Color, points.Color, points.Shape = plotutil.Color(n), plotutil.Color(n), plotutil.Shape(n)
	bars, err := plotter.NewYErrorBars(s)
	if err != nil {
		return err
	}
	bars.Color = plotutil.Color(n)
	p.Add(line, points, bars)
	p.legend.Add(name, line, points)
	return nil
}
