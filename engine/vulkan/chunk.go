package vulkan

import (
	"fmt"
	"math/bits"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// Recurrence names a form of RWKV-7's recurrence: token after token, or by chunks of tokens whose part that needs no state
// is done for all of them at once (shaders/lib/chunk.glsl).
type Recurrence uint8

// The forms. FasterRecurrence is Serial but where the tuner finds Chunked to be faster.
const (
	FasterRecurrence Recurrence = iota
	Serial
	Chunked
)

// String returns the form's name.
func (f Recurrence) String() string { return [...]string{"faster", "serial", "chunked"}[f] }

func (f Recurrence) kept() tuned { return tuned{Kernel: f.String()} }

// What wkv7_chunk.comp and wkv7_scan.comp fix: tokens of a chunk, what is left of one in rows of a head, rows of a head's
// state in a workgroup, the largest head, and the most shared memory that either takes.
const (
	chunkTokens = 16
	chunkRows   = 6*chunkTokens + 1
	scanRows    = 16
	chunkHead   = 64
	chunkMemory = 23296
)

// suitsChunks tells whether a device can run the op by chunks for so many rows and sequences.
func suitsChunks(l gpu.Limits, o *op.WKV7, rows, seqs int) bool {
	chunks := chunksOf(rows, seqs)
	return o.N <= chunkHead && l.SharedMemory >= chunkMemory &&
		chunks*chunkBytes(o) <= min(l.MaxStorageBufferRange, l.MaxAllocationSize) &&
		o.Heads*int(groupsOf(o.N, scanRows)) <= l.MaxWorkgroupCount[0] && max(chunks, seqs) <= l.MaxWorkgroupCount[1]
}

// chunksOf returns the most chunks that so many rows in so many sequences are.
func chunksOf(rows, seqs int) int { return rows/chunkTokens + seqs }

// chunkBytes returns the size of what is left of a chunk.
func chunkBytes(o *op.WKV7) int { return 4 * chunkRows * o.N * o.Heads }

// chunkRoom returns a buffer for the chunks of so many rows and sequences.
func (e *Exec) chunkRoom(o *op.WKV7, rows, seqs int) (gpu.Range, error) {
	bytes := chunksOf(rows, seqs) * chunkBytes(o)
	if e.chunks == nil || e.chunks.Size() < bytes {
		most := max(bytes, chunksOf(e.plan.Sizes.Rows, min(e.plan.Sizes.Seqs, e.plan.Sizes.Rows/leastChunked))*chunkBytes(o))
		l := e.dev.Info().Limits
		b, err := e.buffer("chunks", max(bytes, min(most, l.MaxStorageBufferRange, l.MaxAllocationSize)), gpu.DeviceLocal)
		if err != nil {
			return gpu.Range{}, err
		}
		e.chunks = b // one before it is in use by commands that are kept
	}
	return e.chunks.Range(0, bytes), nil
}

// leastChunked is from how many tokens of a sequence, on average, chunks are considered: at worst, half of a chunk in each
// two is idle.
const leastChunked = 2 * chunkTokens

// recurrence returns the form for a pass. Beside lanes that are emulated, where a barrier or shared memory costs more than
// the work between, chunks are not even tried: on two such devices they took 1.6 and 17 times as long (bench/README.md).
func (r *recorder) recurrence(o *op.WKV7) (Recurrence, error) {
	rows, seqs := r.shape.rows, r.shape.seqs
	switch {
	case r.exact || r.recur == Serial || !suitsChunks(r.dev.Info().Limits, o, rows, seqs):
		return Serial, nil
	case r.recur == Chunked:
		return Chunked, nil
	case r.tuner == nil || r.kernels.shape.CPU || rows < leastChunked*seqs:
		return Serial, nil
	}
	class := bits.Len(uint(seqs - 1)) // numbers up to a power of two are alike
	key := r.on + fmt.Sprintf("recurrence of %d heads of %d, %d sequences", o.Heads, o.N, 1<<class)
	f, open := choice(r.Exec, key, many, []Recurrence{Serial, Chunked},
		func() (contest[Recurrence], error) { return newRecurrenceTrial(r.Exec, o, rows, seqs), nil })
	r.wish(open)
	if f == Chunked {
		switch _, err := r.chunkRoom(o, rows, seqs); {
		case refused(err): // no memory for it
			return Serial, nil
		case err != nil:
			return Serial, err
		}
	}
	return f, nil
}

// chunked7 records the recurrence by chunks.
func (r *recorder) chunked7(o *op.WKV7, texel bool, args shaders.Wkv7Args, push shaders.Wkv7Push) error {
	room, err := r.chunkRoom(o, r.shape.rows, r.shape.seqs)
	if err != nil {
		return err
	}
	heads, seqs := uint32(o.Heads), uint32(r.shape.seqs)
	chunk, err := r.kernels.wkv7Chunk(o.N, texel)
	if err != nil {
		return err
	}
	chunk.Dispatch(r.rec, shaders.Wkv7ChunkArgs{Spans: args.Spans, R: args.R, W: args.W, K: args.K, V: args.V, A: args.A,
		Params: args.Params, Chunks: room},
		shaders.Wkv7ChunkPush{Stride: 4 * push.Stride, Sequences: seqs, Kk: 4 * push.Kk, Ka: 4 * push.Ka},
		heads, uint32(chunksOf(r.shape.rows, r.shape.seqs)), 1)
	scan, err := r.kernels.wkv7Scan(o.N, texel && r.texel(floatTexels(room)))
	if err != nil {
		return err
	}
	scan.Dispatch(r.rec, shaders.Wkv7ScanArgs{Spans: args.Spans, V: args.V, Keys: room, Values: room, State: args.State,
		StateOut: args.StateOut, Y: args.Y},
		shaders.Wkv7ScanPush{Stride: 4 * push.Stride, StateStride: push.StateStride, Heads: heads},
		heads*groupsOf(o.N, scanRows), seqs, 1)
	return nil
}

func (k *Kernels) wkv7Chunk(n int, texel bool) (*shaders.Wkv7Chunk, error) {
	v := form(texel, shaders.Wkv7ChunkBuf, shaders.Wkv7ChunkTx)
	return kernel(k, headKey[shaders.Wkv7ChunkVariant]{v: v, n: n}, func() (*shaders.Wkv7Chunk, error) {
		return shaders.NewWkv7Chunk(k.dev, v, shaders.Wkv7ChunkSpec{N: uint32(n)})
	})
}

func (k *Kernels) wkv7Scan(n int, texel bool) (*shaders.Wkv7Scan, error) {
	v := form(texel, shaders.Wkv7ScanBuf, shaders.Wkv7ScanTx)
	return kernel(k, headKey[shaders.Wkv7ScanVariant]{v: v, n: n}, func() (*shaders.Wkv7Scan, error) {
		return shaders.NewWkv7Scan(k.dev, v, shaders.Wkv7ScanSpec{N: uint32(n)})
	})
}
