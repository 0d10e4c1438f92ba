package paint

import (
	"errors"
	"fmt"
	"image"
	"math/bits"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
	"github.com/rwkv-gpu/rwkv-gpu/view/colors"
	"github.com/rwkv-gpu/rwkv-gpu/view/font"
	"github.com/rwkv-gpu/rwkv-gpu/view/scene"
)

// Painter draws pictures of one size on one device. One goroutine at a time may use it.
type Painter struct {
	dev           *gpu.Device
	states        *States
	width, height int
	blue          bool

	kernels kernels
	frame   *gpu.Buffer // uint32[height, width]
	scales  *gpu.Buffer // float32[layers, heads], the largest magnitudes, and behind them the largest of all
	colors  []*gpu.Buffer
	atlas   *gpu.Buffer
	quads   *gpu.Buffer // what a picture's rectangles are read from
	lengths *gpu.Buffer // float32[size], of the keys of a head
	seen    *gpu.Buffer // lengths for the host
	set     *font.Set   // whose atlas it is

	commands *gpu.Commands // of the last picture
	key      key           // what they draw
	drawn    int           // the head whose keys they measure; -1: none
	words    []uint32
}

// New makes a painter of pictures of width x height pixels. blue says that a pixel's first byte is blue, not red.
func New(dev *gpu.Device, s *States, width, height int, blue bool) (*Painter, error) {
	const most = 1 << 14 // pixels of a side, as places of rectangles have 16 bits
	if width < 1 || height < 1 || width > most || height > most {
		return nil, fmt.Errorf("paint: want pictures of 1 to %d pixels a side, got %d x %d", most, width, height)
	}
	p := &Painter{dev: dev, states: s, width: width, height: height, blue: blue, drawn: -1}
	if err := p.make(); err != nil {
		p.Release()
		return nil, err
	}
	return p, nil
}

func (p *Painter) make() (err error) {
	sh := p.states.Shape
	if err := p.kernels.make(p.dev); err != nil {
		return err
	}
	for _, b := range []struct {
		of   **gpu.Buffer
		name string
		size int
		kind gpu.Memory
	}{
		{&p.frame, "picture", 4 * p.width * p.height, gpu.DeviceLocal},
		{&p.scales, "largest magnitudes", 4*sh.Layers*sh.Heads + scalesPad, gpu.DeviceLocal},
		{&p.lengths, "lengths of keys", 4 * sh.Size, gpu.DeviceLocal},
		{&p.seen, "lengths of keys (host)", 4 * sh.Size, gpu.Readback},
	} {
		if *b.of, err = p.dev.NewBuffer(b.name, b.size, b.kind); err != nil {
			return err
		}
	}
	for _, s := range colors.Scales() {
		b, err := p.upload("colors", scaleWords(&s, p.blue))
		if err != nil {
			return err
		}
		p.colors = append(p.colors, b)
	}
	return nil
}

// scalesPad is room behind the magnitudes of the heads for the largest of all, at a place that can be bound.
const scalesPad = 512

// upload makes a buffer that the host writes and kernels read.
func (p *Painter) upload(name string, words []uint32) (*gpu.Buffer, error) {
	b, err := p.dev.NewBuffer(name, 4*max(len(words), 1), gpu.Upload)
	if err == nil {
		copy(gpu.Uint32s(b.Bytes()), words)
	}
	return b, err
}

// Release waits for what is under way and frees everything.
func (p *Painter) Release() {
	if p == nil {
		return
	}
	p.commands.Release()
	p.kernels.release()
	for _, b := range append(p.colors, p.frame, p.scales, p.atlas, p.quads, p.lengths, p.seen) {
		b.Release()
	}
}

// Draw starts to draw a picture of a state, which is that of Engine.Look. Call Wait before the next Draw. A picture of
// another size is an error.
func (p *Painter) Draw(pic *scene.Picture, set *font.Set, state []gpu.Range) error {
	if pic.Width != p.width || pic.Height != p.height {
		return fmt.Errorf("paint: want a picture of %d x %d pixels, got %d x %d", p.width, p.height, pic.Width, pic.Height)
	}
	if err := p.letters(set); err != nil {
		return err
	}
	k := keyOf(pic, state)
	if err := p.rectangles(pic, &k); err != nil {
		return err
	}
	if p.commands == nil || !k.same(&p.key) {
		p.commands.Release()
		p.commands = nil
		var err error
		if p.commands, err = p.record(pic, &k, state); err != nil {
			return err
		}
		p.key = k
	}
	p.drawn = pic.Head
	return p.commands.Submit()
}

// letters takes over the atlas of a set of characters.
func (p *Painter) letters(set *font.Set) error {
	if p.set == set {
		return nil
	}
	words := make([]uint32, len(set.Atlas)/4)
	for i := range words {
		a := set.Atlas[4*i:]
		words[i] = uint32(a[0]) | uint32(a[1])<<8 | uint32(a[2])<<16 | uint32(a[3])<<24
	}
	p.commands.Release()
	p.commands = nil
	p.atlas.Release()
	p.atlas = nil
	b, err := p.upload("characters", words)
	if err == nil {
		p.atlas, p.set = b, set
	}
	return err
}

// leastQuads is the least number of rectangles of a list that are recorded: later pictures with a few more need no
// other commands.
const leastQuads = 64

// rectangles writes a picture's rectangles to where commands read them. It fills up each list with empty ones.
func (p *Painter) rectangles(pic *scene.Picture, k *key) error {
	p.words = p.words[:0]
	for i, list := range [][]scene.Quad{pic.Boxes, pic.Marks, pic.Text} {
		n := max(leastQuads, 1<<bits.Len(uint(max(len(list), 1)-1)))
		k.quads[i] = n
		p.words = quadWords(p.words, list, p.blue)
		p.words = append(p.words, make([]uint32, (n-len(list))*glsl.QuadWords)...)
	}
	if p.quads == nil || p.quads.Size() < 4*len(p.words) {
		p.commands.Release()
		p.commands = nil
		p.quads.Release()
		p.quads = nil
		b, err := p.dev.NewBuffer("rectangles", 4*len(p.words), gpu.Upload)
		if err != nil {
			return err
		}
		p.quads = b
	}
	copy(gpu.Uint32s(p.quads.Bytes()), p.words)
	return nil
}

// Wait returns when the picture is drawn.
func (p *Painter) Wait() error {
	if p.commands == nil {
		return nil
	}
	return p.commands.Wait()
}

// Frame returns where the picture lies: uint32[height, width].
func (p *Painter) Frame() gpu.Range { return p.frame.All() }

// Keys returns how strong each key is of the head that the last picture named, after Wait; -1 and nil without one.
func (p *Painter) Keys() (head int, lengths []float32) {
	if p.drawn < 0 {
		return -1, nil
	}
	return p.drawn, slices.Clone(gpu.Float32s(p.seen.Bytes()))
}

// Image returns the picture, after Wait.
func (p *Painter) Image() (*image.RGBA, error) {
	size := 4 * p.width * p.height
	b, err := p.dev.NewBuffer("picture (host)", size, gpu.Readback)
	if err != nil {
		return nil, err
	}
	defer b.Release()
	rec := p.dev.NewRecording()
	rec.SetName("reading of a picture")
	rec.Copy(b.All(), p.frame.All())
	if err := rec.Run(); err != nil {
		return nil, err
	}
	img := image.NewRGBA(image.Rect(0, 0, p.width, p.height))
	if copy(img.Pix, b.Bytes()) != size {
		return nil, errors.New("paint: the picture is shorter than its size")
	}
	for i := 0; i < size; i += 4 {
		if p.blue {
			img.Pix[i], img.Pix[i+2] = img.Pix[i+2], img.Pix[i]
		}
		img.Pix[i+3] = 0xff
	}
	return img, nil
}
