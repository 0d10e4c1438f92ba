package paint

import (
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
	"github.com/rwkv-gpu/rwkv-gpu/view/colors"
	"github.com/rwkv-gpu/rwkv-gpu/view/scene"
)

// key is all that commands depend on but the rectangles' contents.
type key struct {
	state []gpu.Range
	tiles []scene.Tiles
	quads [3]int // boxes, marks, text
	scale int
	each  bool
	head  int
}

func keyOf(pic *scene.Picture, state []gpu.Range) key {
	return key{state: slices.Clone(state), tiles: pic.Tiles, scale: pic.Scale, each: pic.Each, head: pic.Head}
}

func (k *key) same(other *key) bool {
	return slices.Equal(k.state, other.state) && slices.Equal(k.tiles, other.tiles) && k.quads == other.quads && k.scale == other.scale &&
		k.each == other.each && k.head == other.head
}

// record records the drawing of a picture.
func (p *Painter) record(pic *scene.Picture, k *key, state []gpu.Range) (*gpu.Commands, error) {
	rec := p.dev.NewRecording()
	rec.SetName("a picture of the state")
	rec.Fill(p.frame.All(), pixel(pic.Background, p.blue))
	first := 0
	quads := func(n int) {
		p.kernels.quads.Dispatch(rec, shaders.ViewQuadsArgs{Quads: p.quads.All(), Atlas: p.atlas.All(), Frame: p.frame.All()},
			shaders.ViewQuadsPush{First: uint32(first), Stride: uint32(p.width)}, uint32(n), 1, 1)
		first += n
	}
	quads(k.quads[0])
	p.heads(rec, pic, state)
	quads(k.quads[1])
	quads(k.quads[2])
	if pic.Head >= 0 {
		p.measure(rec, pic.Head, state)
	}
	return rec.End()
}

// heads records the pictures of heads.
func (p *Painter) heads(rec *gpu.Recording, pic *scene.Picture, state []gpu.Range) {
	sh := p.states.Shape
	all := 4 * sh.Layers * sh.Heads
	run := uint32(sh.Size * sh.Size)
	for layer := range sh.Layers {
		p.kernels.largest.Dispatch(rec, shaders.ViewLargestArgs{X: p.states.of(state, layer), Y: p.scales.Range(0, all)},
			shaders.ViewLargestPush{Count: run, At: uint32(layer * sh.Heads)}, uint32(sh.Heads), 1, 1)
	}
	scales := p.scales.Range(0, all)
	if !pic.Each {
		behind := p.scales.Range((all+255)/256*256, 4)
		p.kernels.largest.Dispatch(rec, shaders.ViewLargestArgs{X: scales, Y: behind}, shaders.ViewLargestPush{Count: uint32(all / 4)}, 1, 1, 1)
		scales = behind
	}
	for _, t := range pic.Tiles {
		push := shaders.ViewStatePush{At: uint32(t.Y*p.width + t.X), Stride: uint32(p.width), Step: uint32(t.StepY*p.width + t.StepX),
			Side: uint32(t.Side), Size: uint32(sh.Size), First: uint32(t.First)}
		if pic.Each {
			push.Scale, push.Each = uint32(t.Layer*sh.Heads+t.First), 1
		}
		if p.states.Turned {
			push.Turned = 1
		}
		if colors.Scales()[pic.Scale].Signed {
			push.SignedColors = 1
		}
		groups := uint32(t.Side+7) / 8
		p.kernels.state.Dispatch(rec, shaders.ViewStateArgs{State: p.states.of(state, t.Layer), Scales: scales, Colors: p.colors[pic.Scale].All(),
			Frame: p.frame.All()}, push, groups, groups, uint32(t.Count))
	}
}

// measure records how strong the keys of a head are, for the host.
func (p *Painter) measure(rec *gpu.Recording, head int, state []gpu.Range) {
	sh := p.states.Shape
	push := shaders.ViewKeysPush{Size: uint32(sh.Size), Head: uint32(head % sh.Heads)}
	if p.states.Turned {
		push.Turned = 1
	}
	p.kernels.keys.Dispatch(rec, shaders.ViewKeysArgs{State: p.states.of(state, head/sh.Heads), Lengths: p.lengths.All()}, push,
		uint32(sh.Size+63)/64, 1, 1)
	rec.Copy(p.seen.All(), p.lengths.All())
}
