package kernel

import (
	"fmt"
	"math/bits"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/pipeline"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// The forms of RWKV-7's recurrence: token after token, or by chunks of tokens. The part of a chunk's work that needs no
// state is done for all chunks at once (shaders/lib/chunk.glsl).
const (
	Serial  = "serial"
	Chunked = "chunked"
)

// Stepwise is the way to do the op in one dispatch, for one token of each sequence. It is no choice: where it can run,
// it does.
const Stepwise = "step"

// recurrence7 is the op's name where its forms are known to be unfit.
const recurrence7 = "WKV7"

// chunkMemory is the most shared memory that wkv7_chunk or wkv7_scan takes.
const chunkMemory = max(glsl.ChunkMemory, glsl.ScanMemory)

// suitsChunks reports whether a device can run the op by chunks for so many rows and sequences.
func suitsChunks(l gpu.Limits, o *op.WKV7, rows, seqs int) bool {
	chunks := chunksOf(rows, seqs)
	return o.N <= glsl.ChunkHead && l.SharedMemory >= chunkMemory &&
		chunks*chunkBytes(o) <= min(l.MaxStorageBufferRange, l.MaxAllocationSize) &&
		o.Heads*int(pipeline.Groups(o.N, glsl.ScanRows)) <= l.MaxWorkgroupCount[0] && max(chunks, seqs) <= l.MaxWorkgroupCount[1]
}

// chunksOf returns how many chunks so many rows in so many sequences have at most.
func chunksOf(rows, seqs int) int { return rows/glsl.ChunkTokens + seqs }

// chunkBytes returns the bytes that wkv7_chunk leaves of a chunk.
func chunkBytes(o *op.WKV7) int { return 4 * glsl.ChunkRows * o.N * o.Heads }

// LeastChunked is the average number of tokens of a sequence from which on chunks are considered. With so many, at most
// half of one chunk in two is idle.
const LeastChunked = 2 * glsl.ChunkTokens

// choice returns the forms for a pass. Emulated lanes are not offered chunks, since a barrier or shared memory costs
// more there than the work between: on two such devices chunks took 1.6 and 17 times as long (bench/README.md).
func (w *Recurrent) choice(s Shape) Choice {
	forms := []tune.Form{{Kernel: Serial}}
	switch {
	case w.env.Exact || w.env.Forced.Recur == Serial || !w.Suits(s):
	case w.env.Forced.Recur == Chunked:
		forms = []tune.Form{{Kernel: Chunked}}
	case !w.env.Tuned || w.env.Set.Is.CPU || s.Rows < LeastChunked*s.Seqs:
	default:
		forms = append(forms, tune.Form{Kernel: Chunked})
	}
	if w.env.Forced.Recur == "" {
		forms = w.env.fit(recurrence7, forms, func() []tune.Form { return w.spare(s) })
	}
	class := bits.Len(uint(s.Seqs - 1)) // numbers up to a power of two are alike
	key := w.env.On + fmt.Sprintf("recurrence of %d heads of %d, %d sequences", w.Op.Heads, w.Op.N, 1<<class)
	return Choice{tune.Choice{Device: w.env.Set.Dev.Info().Name, Key: key, On: w.env.On, Kind: tune.Many, Forms: forms}, &Chain{w, s}}
}

// spare returns the forms that can stand in for the usual one.
func (w *Recurrent) spare(s Shape) []tune.Form {
	if w.env.Exact || !w.Suits(s) {
		return nil
	}
	return []tune.Form{{Kernel: Chunked}}
}

// Chain is a recurrence over batches of a shape.
type Chain struct {
	*Recurrent
	Shape Shape
}

// Tried returns the shape that a trial runs for all shapes of the same key.
func (c *Chain) Tried() Shape {
	seqs := c.Shape.Seqs
	each := min(c.env.Plan.Sizes.Rows/seqs, manyTokens)
	if !c.Suits(Shape{Rows: each * seqs, Seqs: seqs}) {
		each = min(c.Shape.Rows/seqs, each)
	}
	return Shape{Rows: each * seqs, Seqs: seqs}
}

// Suits reports whether the device can run the recurrence by chunks for batches of a shape.
func (w *Recurrent) Suits(s Shape) bool {
	return suitsChunks(w.env.Set.Dev.Info().Limits, w.Op, s.Rows, s.Seqs)
}

// Room returns how many bytes the chunks of a batch take.
func (w *Recurrent) Room(s Shape) int { return chunksOf(s.Rows, s.Seqs) * chunkBytes(w.Op) }

// room returns where the chunks of a batch go, in the buffer that Provide made.
func (w *Recurrent) room(s Shape) gpu.Range {
	if w.env.chunks == nil {
		return gpu.Range{}
	}
	return w.env.chunks.Range(0, w.Room(s))
}

// Provide makes a buffer for chunks. If the device allows it, the buffer is large enough for any pass.
func (c *Chain) Provide(f tune.Form) error {
	e, bytes := c.env, c.Room(c.Shape)
	if f.Kernel != Chunked || e.chunks != nil && e.chunks.Size() >= bytes {
		return nil
	}
	sizes, l := e.Plan.Sizes, e.Set.Dev.Info().Limits
	most := max(bytes, c.Room(Shape{Rows: sizes.Rows, Seqs: min(sizes.Seqs, sizes.Rows/LeastChunked)}))
	b, err := e.Set.Dev.NewBuffer("chunks", max(bytes, min(most, l.MaxStorageBufferRange, l.MaxAllocationSize)), gpu.DeviceLocal)
	if err != nil {
		return err
	}
	e.chunks.Release() // commands that use it keep it alive
	e.chunks = b
	return nil
}

// chunked records the recurrence by chunks.
func (w *Recurrent) chunked(rec *gpu.Recording, s Shape, texel bool, args shaders.Wkv7Args, push shaders.Wkv7Push, room gpu.Range) error {
	set, o := w.env.Set, w.Op
	heads, seqs := uint32(o.Heads), uint32(s.Seqs)
	chunk, err := set.wkv7Chunk(o.N, texel)
	if err != nil {
		return err
	}
	chunk.Dispatch(rec, shaders.Wkv7ChunkArgs{Spans: args.Spans, R: args.R, W: args.W, K: args.K, V: args.V, A: args.A,
		Params: args.Params, Chunks: room},
		shaders.Wkv7ChunkPush{Stride: 4 * push.Stride, Sequences: seqs, Kk: 4 * push.Kk, Ka: 4 * push.Ka},
		heads, uint32(chunksOf(s.Rows, s.Seqs)), 1)
	scan, err := set.wkv7Scan(o.N, texel && w.env.Texel(floats(room)))
	if err != nil {
		return err
	}
	scan.Dispatch(rec, shaders.Wkv7ScanArgs{Spans: args.Spans, V: args.V, Keys: room, Values: room, State: args.State,
		StateOut: args.StateOut, Y: args.Y},
		shaders.Wkv7ScanPush{Stride: 4 * push.Stride, StateStride: push.StateStride, Heads: heads},
		heads*pipeline.Groups(o.N, glsl.ScanRows), seqs, 1)
	return nil
}

func (k *Set) wkv7Chunk(n int, texel bool) (*shaders.Wkv7Chunk, error) {
	v := pipeline.Way(texel, shaders.Wkv7ChunkBuf, shaders.Wkv7ChunkTx)
	return pipeline.Get(k.Set, headKey[shaders.Wkv7ChunkVariant]{v: v, n: n}, func() (*shaders.Wkv7Chunk, error) {
		return shaders.NewWkv7Chunk(k.Dev, v, shaders.Wkv7ChunkSpec{N: uint32(n)})
	})
}

func (k *Set) wkv7Scan(n int, texel bool) (*shaders.Wkv7Scan, error) {
	v := pipeline.Way(texel, shaders.Wkv7ScanBuf, shaders.Wkv7ScanTx)
	return pipeline.Get(k.Set, headKey[shaders.Wkv7ScanVariant]{v: v, n: n}, func() (*shaders.Wkv7Scan, error) {
		return shaders.NewWkv7Scan(k.Dev, v, shaders.Wkv7ScanSpec{N: uint32(n)})
	})
}
