package bench

import (
	"fmt"
	"image/color"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
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

// Plot draws these pictures, as far as the report has values for them, of decode and of prefill each:
//
//	NAME-decode-roofline.svg  operations per second against operations per byte, below what the device does at best
//	NAME-decode-batch.svg     tokens per second against sequences at once
//	NAME-decode-depth.svg     tokens per second against tokens behind the sequences
//
// path is NAME.svg or NAME.png. Plot returns the files that it wrote. An error about one of them is a PlotError.
func (r *Report) Plot(path string) ([]string, error) {
	ext := filepath.Ext(path)
	if !slices.Contains(PlotFormats, ext) {
		return nil, fmt.Errorf("want a name that ends in %s, got %q", strings.Join(PlotFormats, " or "), path)
	}
	var names []string
	for _, phase := range []string{decode, prefill} {
		of := r.only(phase)
		if len(of.Results) == 0 {
			continue
		}
		for _, picture := range []struct {
			name string
			draw func() (*picture, error)
		}{
			{"roofline", func() (*picture, error) { return of.roofline(phase) }},
			{"batch", func() (*picture, error) { return of.rates(phase, batchAxis) }},
			{"depth", func() (*picture, error) { return of.rates(phase, depthAxis) }},
		} {
			name := strings.TrimSuffix(path, ext) + "-" + phaseNames[phase] + "-" + picture.name + ext
			p, err := picture.draw()
			if p == nil && err == nil {
				continue
			}
			if err == nil {
				err = p.save(name)
			}
			if err != nil {
				return names, &PlotError{name, err}
			}
			names = append(names, name)
		}
	}
	return names, nil
}

// phaseNames are the words for kinds of tests.
var phaseNames = map[string]string{decode: "decode", prefill: "prefill", generate: "drawn text"}

// parts returns the kind of a test and its tokens.
func parts(test string) (kind, tokens string) {
	kind = strings.TrimRight(test, "0123456789")
	return kind, test[len(kind):]
}

// only returns the report with the tests and ops of a phase. Drawn text belongs to decode.
func (r *Report) only(phase string) *Report {
	of := *r
	other := func(test string) bool {
		kind, _ := parts(test)
		return kind != phase && (phase != decode || kind != generate)
	}
	of.Results = slices.DeleteFunc(slices.Clone(r.Results), func(x Result) bool { return other(x.Test) })
	of.Ops = slices.DeleteFunc(slices.Clone(r.Ops), func(x OpTime) bool { return other(x.Test) })
	return &of
}

// inWords names a test.
func inWords(test string) string {
	kind, tokens := parts(test)
	name := phaseNames[kind]
	if name == "" {
		name = kind
	}
	return name + " of " + tokens + " tokens"
}

// sequences says how many there are at once.
func sequences(n int) string {
	if n == 1 {
		return "one sequence"
	}
	return fmt.Sprintf("%d sequences at once", n)
}

// PlotError is an error about a picture.
type PlotError struct {
	File string
	Err  error
}

func (e *PlotError) Error() string { return e.File + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *PlotError) Unwrap() error { return e.Err }

// picture is a plot with its legend below it, where it covers nothing.
type picture struct {
	*plot.Plot
	legend plot.Legend
	left   string // of the vertical axis: for one of logarithms plot.Plot would leave room above the label
}

// legendPadding is around the legend.
const legendPadding = 3 * vg.Millimeter

// save writes the picture.
func (p *picture) save(name string) error {
	probe := draw.New(vgsvg.New(plotWidth, plotHeight))
	room := p.legend.Rectangle(probe).Size().Y + 2*legendPadding
	width, height := vg.Length(plotWidth), plotHeight+room
	var c interface {
		vg.CanvasSizer
		io.WriterTo
	} = vgsvg.New(width, height)
	if filepath.Ext(name) != ".svg" {
		c = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(150))}
	}
	whole := draw.New(c)
	whole.SetColor(color.White)
	whole.Fill(whole.Rectangle.Path())
	style := p.X.Label.TextStyle
	style.Rotation, style.XAlign, style.YAlign = math.Pi/2, text.XCenter, text.YTop
	whole.FillText(style, vg.Point{X: legendPadding / 2, Y: room + plotHeight/2}, p.left)
	p.Draw(draw.Crop(whole, 2*legendPadding+style.Height(p.left), -legendPadding, room, 0))
	p.legend.Draw(draw.Crop(whole, 2*legendPadding, 0, legendPadding, -plotHeight))
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

// newPicture returns a picture with its words.
func (r *Report) newPicture(title, x, y string) *picture {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := &picture{Plot: plot.New(), legend: plot.NewLegend()}
	p.Title.Text = title + "\n" + wrapped(r.Model+", quant "+r.Quant) + "\n" + wrapped(r.Device)
	p.X.Label.Text, p.left = x, y
	p.Add(plotter.NewGrid())
	p.legend.Top, p.legend.Left = false, true
	p.legend.Padding = vg.Points(2)
	return p
}
