package bench

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// PlotFormats are the endings of names that Plot can write.
var PlotFormats = []string{".svg", ".png"}

// Size of a picture.
const (
	plotWidth  = 18 * vg.Centimeter
	plotHeight = 12 * vg.Centimeter
)

// Plot draws these pictures, as far as the report has values for them:
//
//	NAME-roofline.svg  operations per second against operations per byte, below what the device does at best
//	NAME-batch.svg     tokens per second against sequences at once
//	NAME-depth.svg     tokens per second against tokens behind the sequences
//
// path is NAME.svg or NAME.png. Plot returns the files that it wrote. An error about one of them is a PlotError.
func (r *Report) Plot(path string) ([]string, error) {
	ext := filepath.Ext(path)
	if !slices.Contains(PlotFormats, ext) {
		return nil, fmt.Errorf("want a name that ends in %s, got %q", strings.Join(PlotFormats, " or "), path)
	}
	var names []string
	for _, picture := range []struct {
		name string
		draw func(*Report) (*plot.Plot, error)
	}{
		{"roofline", (*Report).roofline},
		{"batch", func(r *Report) (*plot.Plot, error) { return r.rates(batchAxis) }},
		{"depth", func(r *Report) (*plot.Plot, error) { return r.rates(depthAxis) }},
	} {
		name := strings.TrimSuffix(path, ext) + "-" + picture.name + ext
		p, err := picture.draw(r)
		if p == nil && err == nil {
			continue
		}
		if err == nil {
			err = save(p, name)
		}
		if err != nil {
			return names, &PlotError{name, err}
		}
		names = append(names, name)
	}
	return names, nil
}

// PlotError is an error about a picture.
type PlotError struct {
	File string
	Err  error
}

func (e *PlotError) Error() string { return e.File + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *PlotError) Unwrap() error { return e.Err }

// save writes a picture.
func save(p *plot.Plot, name string) error {
	var c interface {
		vg.CanvasSizer
		io.WriterTo
	} = vgsvg.New(plotWidth, plotHeight)
	if filepath.Ext(name) != ".svg" {
		c = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(plotWidth, plotHeight), vgimg.UseDPI(150))}
	}
	p.Draw(draw.New(c))
	return files.Replace(name, func(w io.Writer) error {
		_, err := c.WriteTo(w)
		return err
	}, nil)
}

// titleWidth is how many characters of a title fit into the width of a picture.
const titleWidth = 80

// wrapped breaks s between words into lines of at most titleWidth characters, as far as its words allow.
func wrapped(s string) string {
	var lines strings.Builder
	width := 0
	for i, word := range strings.Fields(s) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case width+1+n > titleWidth:
			lines.WriteByte('\n')
			width = 0
		default:
			lines.WriteByte(' ')
			width++
		}
		lines.WriteString(word)
		width += n
	}
	return lines.String()
}

// newPlot returns a picture with its words and a legend.
func (r *Report) newPlot(title, x, y string) *plot.Plot {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := plot.New()
	p.Title.Text = title + "\n" + wrapped(r.Model+", quant "+r.Quant) + "\n" + wrapped(r.Device)
	p.X.Label.Text, p.Y.Label.Text = x, y
	p.Add(plotter.NewGrid())
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.Padding = vg.Points(2)
	return p
}

// roofline draws the device's limits as a roof, with tests and ops below it.
func (r *Report) roofline() (*plot.Plot, error) {
	p := r.newPlot("Roofline", "operations per byte", "GFLOPS")
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = decades{}, decades{}
	series := map[string]plotter.XYs{}
	var names []string
	add := func(name string, x, y float64) {
		if !(x > 0) || !(y > 0) { // has no place on such axes
			return
		}
		if _, ok := series[name]; !ok {
			names = append(names, name)
		}
		series[name] = append(series[name], plotter.XY{X: x, Y: y})
	}
	for i := range r.Results {
		x := &r.Results[i]
		add(fmt.Sprintf("%s, batch %d", x.Test, x.Batch), x.intensity(), x.GFLOPS)
	}
	for _, x := range r.Ops {
		add(fmt.Sprintf("ops of %s, batch %d", x.Test, x.Batch), x.GFLOPS/x.GBPerS, x.GFLOPS)
	}
	least, most := math.Inf(1), r.Roofline.FMAGFLOPS/r.Roofline.ReadGBPerS
	for _, xy := range series {
		for _, v := range xy {
			least, most = min(least, v.X), max(most, v.X)
		}
	}
	least, most = min(least, r.Roofline.FMAGFLOPS/r.Roofline.ReadGBPerS)/4, most*8
	ridge := r.Roofline.FMAGFLOPS / r.Roofline.ReadGBPerS
	roof, err := plotter.NewLine(plotter.XYs{{X: least, Y: least * r.Roofline.ReadGBPerS}, {X: ridge, Y: r.Roofline.FMAGFLOPS}, {X: most, Y: r.Roofline.FMAGFLOPS}})
	if err != nil {
		return nil, err
	}
	roof.Width = vg.Points(2)
	p.Add(roof)
	p.Legend.Add(fmt.Sprintf("%s GB/s, %s GFLOPS", number(r.Roofline.ReadGBPerS), number(r.Roofline.FMAGFLOPS)), roof)
	for i, name := range names {
		s, err := plotter.NewScatter(series[name])
		if err != nil {
			return nil, err
		}
		s.GlyphStyle = draw.GlyphStyle{Color: plotutil.Color(i), Radius: vg.Points(3), Shape: plotutil.Shape(i)}
		p.Add(s)
		p.Legend.Add(name, s)
	}
	p.Legend.Left, p.Legend.Top = false, false // the roof is there
	p.Y.Max *= 2
	return p, nil
}

// axis is the axis that tokens per second are drawn against.
type axis struct {
	what, label, other string
	of, rest           func(*Result) int
}

var (
	batchAxis = axis{"batch", "sequences at once", "depth", func(x *Result) int { return x.Batch }, func(x *Result) int { return x.Depth }}
	depthAxis = axis{"depth", "tokens behind each sequence", "batch", func(x *Result) int { return x.Depth }, func(x *Result) int { return x.Batch }}
)

// rates draws tokens per second, with least and most, as a line for each test. It returns nil if no line has two places
// on the axis.
func (r *Report) rates(a axis) (*plot.Plot, error) {
	p := r.newPlot("Tokens per second against "+a.what, a.label, "tokens per second, of all sequences")
	lines := map[string][]*Result{}
	var names []string
	for i := range r.Results {
		x := &r.Results[i]
		name := fmt.Sprintf("%s, %s %d", x.Test, a.other, a.rest(x))
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
	p.Y.Min = 0
	p.Y.Max *= 1.25 // room for the legend
	return p, nil
}

// spread is a line's points with their errors.
type spread struct {
	plotter.XYs
	plotter.YErrors
}

func (a axis) line(p *plot.Plot, name string, results []*Result, n int) error {
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
	p.Legend.Add(name, line, points)
	return nil
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
