package paint

import (
	"context"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/view/colors"
	"github.com/rwkv-gpu/rwkv-gpu/view/scene"
)

// drawn is a model on a device, with one sequence that is drawn.
type drawn struct {
	t       *testing.T
	m       *model.Model
	e       *engine.Engine
	seq     *engine.Seq
	states  *States
	painter *Painter
	blue    bool
}

func newDrawn(t *testing.T, m *model.Model, blue bool) *drawn {
	t.Helper()
	dev := gputest.Device(t)
	kernels := vulkan.NewKernels(dev)
	t.Cleanup(kernels.Release)
	e, err := engine.New(m, device.On(dev, kernels), engine.Options{Slots: 3})
	if err != nil {
		t.Fatal(err)
	}
	d := &drawn{t: t, m: m, e: e, blue: blue}
	t.Cleanup(func() {
		d.painter.Release()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err = e.NewSeq(nil); err != nil { // so that the sequence is not in the first slot
		t.Fatal(err)
	}
	if d.seq, err = e.NewSeq(nil); err != nil {
		t.Fatal(err)
	}
	if d.states, err = StatesOf(m); err != nil {
		t.Fatal(err)
	}
	return d
}

// feed feeds some tokens.
func (d *drawn) feed(tokens ...int) {
	d.t.Helper()
	rows := []engine.Row{{Seq: d.seq, Tokens: tokens}}
	if err := d.e.Feed(context.Background(), rows); err != nil || rows[0].Err != nil {
		d.t.Fatal(err, rows[0].Err)
	}
}

// state returns the state, as the engine reads it back.
func (d *drawn) state() []float32 {
	d.t.Helper()
	dst := make([]float32, d.m.Program.StateLen())
	tr, err := d.e.Save([]*engine.Seq{d.seq}, [][]float32{dst})
	if err == nil {
		err = tr.Wait()
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return dst
}

// picture draws a scene and returns what was drawn, and as what.
func (d *drawn) picture(s *scene.Scene, st *scene.Story) (*image.RGBA, *scene.Picture) {
	d.t.Helper()
	pic := s.Draw(st)
	err := d.e.Look(context.Background(), []*engine.Seq{d.seq}, func(dev *gpu.Device, states [][]gpu.Range) (err error) {
		if d.painter == nil {
			if d.painter, err = New(dev, d.states, pic.Width, pic.Height, d.blue); err != nil {
				return err
			}
		}
		return d.painter.Draw(pic, s.Font(), states[0])
	})
	if err == nil {
		err = d.painter.Wait()
	}
	if err != nil {
		d.t.Fatal(err)
	}
	img, err := d.painter.Image()
	if err != nil {
		d.t.Fatal(err)
	}
	return img, pic
}

// matrix returns the matrix of a head within a state, [value][key] whatever the version.
func (d *drawn) matrix(state []float32, layer, head int) [][]float32 {
	n := d.m.HeadSize
	for i := range d.m.Fields {
		f := &d.m.Fields[i]
		if f.Layer != layer || len(f.Shape) != 3 {
			continue
		}
		flat := state[f.Off+head*n*n:][:n*n]
		rows := make([][]float32, n)
		for v := range n {
			rows[v] = make([]float32, n)
			for k := range n {
				at := v*n + k
				if d.m.StateLayout() == "key-major" {
					at = k*n + v
				}
				rows[v][k] = flat[at]
			}
		}
		return rows
	}
	d.t.Fatalf("layer %d has no matrices", layer)
	return nil
}

func largest(rows ...[]float32) (most float64) {
	for _, r := range rows {
		for _, v := range r {
			most = max(most, math.Abs(float64(v)))
		}
	}
	return most
}

// wantColor wants the color of a number at a pixel, or that of a neighbor on the scale, since a device may round a root
// otherwise.
func wantColor(t *testing.T, got color.RGBA, v, scale float64, s *colors.Scale, where string, args ...any) {
	t.Helper()
	place := math.Sqrt(math.Abs(v)/scale) * (colors.Count - 1)
	if s.Signed {
		place = (colors.Count - 1 + math.Copysign(place, v)) / 2
	}
	i := int(math.Round(place))
	if !slices.Contains(s.Colors[max(i-1, 0):min(i+2, colors.Count)], got) {
		t.Fatalf(where+": %v of %v: want about %v, got %v", append(args, v, scale, s.Colors[i], got)...)
	}
}

// The picture is the state: each pixel of each head has the color of the number there, as the engine's own copy of the
// state has it. That holds for every version with matrices, for all heads at once and for one, larger and smaller than
// a pixel a number, with both scales, and again after more tokens.
func TestPictureIsState(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	golden.EachVersion(t, func(t *testing.T, m *model.Model) {
		if m.Heads == 0 {
			if _, err := StatesOf(m); err == nil {
				t.Error("want an error for a model without matrices")
			}
			return
		}
		for _, size := range [][2]int{{1400, 800}, {420, 260}} {
			d := newDrawn(t, m, r.IntN(2) == 1)
			s, err := scene.New(d.states.Shape, size[0], size[1], 1)
			if err != nil {
				t.Fatal(err)
			}
			for step := range 8 {
				tokens := make([]int, 1+r.IntN(5))
				for i := range tokens {
					tokens[i] = r.IntN(m.Vocab)
				}
				d.feed(tokens...)
				switch step {
				case 2, 5:
					s.Press(scene.F3)
				case 3:
					s.Press(scene.F2)
				case 4:
					s.Look(r.IntN(m.Layers * m.Heads))
				}
				img, pic := d.picture(s, &scene.Story{At: -1})
				d.compare(img, pic)
			}
			d.painter.Release()
		}
	})
}

// compare wants the pictures of heads to show the engine's state.
func (d *drawn) compare(img *image.RGBA, pic *scene.Picture) {
	d.t.Helper()
	t, n, state, s := d.t, d.m.HeadSize, d.state(), &colors.Scales()[pic.Scale]
	all := 0.0
	for layer := range d.m.Layers {
		for head := range d.m.Heads {
			all = max(all, largest(d.matrix(state, layer, head)...))
		}
	}
	if len(pic.Tiles) == 0 || all == 0 {
		t.Fatalf("%d layers drawn of a state of %v", len(pic.Tiles), all)
	}
	for _, tile := range pic.Tiles {
		for i := range tile.Count {
			m := d.matrix(state, tile.Layer, tile.First+i)
			scale := all
			if pic.Each {
				scale = largest(m...)
			}
			for y := range tile.Side {
				for x := range tile.Side {
					shown := 0.0
					for row := y * n / tile.Side; row < max((y+1)*n/tile.Side, y*n/tile.Side+1); row++ {
						for column := x * n / tile.Side; column < max((x+1)*n/tile.Side, x*n/tile.Side+1); column++ {
							if v := float64(m[row][column]); math.Abs(v) > math.Abs(shown) {
								shown = v
							}
						}
					}
					px, py := tile.X+i*tile.StepX+x, tile.Y+i*tile.StepY+y
					wantColor(t, img.RGBAAt(px, py), shown, scale, s, "layer %d head %d pixel %d, %d", tile.Layer, tile.First+i, x, y)
				}
			}
		}
	}
	if pic.Head < 0 {
		return
	}
	head, lengths := d.painter.Keys()
	if head != pic.Head || len(lengths) != n {
		t.Fatalf("keys of head %d, want those of %d", head, pic.Head)
	}
	m := d.matrix(state, head/d.m.Heads, head%d.m.Heads)
	for key := range n {
		sum := 0.0
		for value := range n {
			sum += float64(m[value][key]) * float64(m[value][key])
		}
		if want := math.Sqrt(sum); math.Abs(float64(lengths[key])-want) > 1e-5*(want+1e-6) {
			t.Fatalf("key %d: want a length of %v, got %v", key, want, lengths[key])
		}
	}
}

// What is no finite number has its own color, and does not change the scale of the others.
func TestPictureOfNoNumbers(t *testing.T) {
	d := newDrawn(t, golden.Tiny(t), false)
	d.feed(1, 2, 3)
	state := d.state()
	f := &d.m.Fields[slices.IndexFunc(d.m.Fields, func(f model.Field) bool { return len(f.Shape) == 3 && f.Layer == 1 })]
	state[f.Off], state[f.Off+d.m.HeadSize+2] = float32(math.NaN()), float32(math.Inf(-1))
	if _, err := d.e.Restore([]*engine.Seq{d.seq}, [][]float32{state}); err != nil {
		t.Fatal(err)
	}
	s, err := scene.New(d.states.Shape, 1400, 800, 1)
	if err != nil {
		t.Fatal(err)
	}
	img, pic := d.picture(s, &scene.Story{At: -1})
	i := slices.IndexFunc(pic.Tiles, func(t scene.Tiles) bool { return t.Layer == 1 })
	tile, side := pic.Tiles[i], pic.Tiles[i].Side/d.m.HeadSize
	m := d.matrix(state, 1, 0)
	m[0][0], m[1][2] = 0, 0
	scale := largest(m...)
	for v := range d.m.HeadSize {
		for k := range d.m.HeadSize {
			got := img.RGBAAt(tile.X+k*side, tile.Y+v*side)
			if v == 0 && k == 0 || v == 1 && k == 2 {
				if got != colors.Bad {
					t.Errorf("no number at %d, %d: want %v, got %v", v, k, colors.Bad, got)
				}
				continue
			}
			wantColor(t, got, float64(m[v][k]), scale, &colors.Scales()[0], "%d, %d", v, k)
		}
	}

	// A pixel that covers such a number shows it, whatever else it covers.
	width := 1400
	for ; 2*tile.Side > d.m.HeadSize; width -= 20 {
		if width < 100 {
			t.Fatalf("no window has pixels that cover several numbers of %d", d.m.HeadSize)
		}
		if s, err = scene.New(d.states.Shape, width, width/2, 1); err != nil {
			t.Fatal(err)
		}
		tile = s.Draw(&scene.Story{At: -1}).Tiles[i]
	}
	d.painter.Release()
	d.painter = nil
	img, pic = d.picture(s, &scene.Story{At: -1})
	small := pic.Tiles[i]
	if got := img.RGBAAt(small.X, small.Y); got != colors.Bad {
		t.Errorf("no number among those of a pixel: want %v, got %v", colors.Bad, got)
	}
}

// Rectangles cover what is below them as their colors say, and characters as the atlas says. All else stays the
// background.
func TestRectangles(t *testing.T) {
	d := newDrawn(t, golden.Tiny(t), false)
	d.feed(5)
	s, err := scene.New(d.states.Shape, 640, 400, 1)
	if err != nil {
		t.Fatal(err)
	}
	words := []scene.Span{{Text: "The king had a "}, {Text: "fox"}}
	for i := range 3 { // the commands of a picture are used again, and made again for another number of rectangles
		img, pic := d.picture(s, &scene.Story{Spans: words, Read: 1, At: -1, Note: "note"})
		want := image.NewRGBA(img.Rect)
		for i := 0; i < len(want.Pix); i += 4 {
			copy(want.Pix[i:], []byte{pic.Background.R, pic.Background.G, pic.Background.B, 0xff})
		}
		for _, list := range [][]scene.Quad{pic.Boxes, pic.Marks, pic.Text} {
			for _, q := range list {
				paintQuad(want, q, s.Font().Atlas)
			}
		}
		for _, tile := range pic.Tiles { // TestPictureIsState has these
			for i := range tile.Count {
				x, y := tile.X+i*tile.StepX, tile.Y+i*tile.StepY
				for row := range tile.Side {
					from := img.PixOffset(x, y+row)
					copy(want.Pix[from:from+4*tile.Side], img.Pix[from:])
				}
			}
		}
		for p := range want.Pix {
			if want.Pix[p] != img.Pix[p] {
				t.Fatalf("picture %d, byte %d of pixel %d, %d: want %d, got %d", i, p%4, p/4%640, p/4/640, want.Pix[p], img.Pix[p])
			}
		}
		if i == 1 {
			words = slices.Repeat(words, 40)
		}
	}
}

// paintQuad does what a rectangle stands for.
func paintQuad(img *image.RGBA, q scene.Quad, atlas []byte) {
	for y := range q.Height {
		for x := range q.Width {
			cover := int(q.Color.A)
			if q.Glyph >= 0 {
				cover = cover * int(atlas[q.Glyph+y*q.Width+x]) / 255
			}
			p := img.Pix[img.PixOffset(q.X+x, q.Y+y):]
			for i, c := range [3]byte{q.Color.R, q.Color.G, q.Color.B} {
				if cover > 0 {
					p[i] = byte((int(p[i])*(255-cover) + int(c)*cover + 127) / 255)
				}
			}
		}
	}
}
