package emulated

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/pipeline"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// Head is the size of a head that wkv6_narrow.comp and wkv7_narrow.comp take. All official models of these versions
// have it.
const Head = glsl.NarrowHead

// TakesHead reports whether wkv6_narrow and wkv7_narrow run the recurrence for heads of a size, for any number of
// tokens.
func TakesHead(is profile.Profile, head int) bool { return is.Narrow.Quads && head == Head }

// bindTokens cuts the ranges of what tokens bring to those of the pass. It reports whether all of them can be bound as
// texels. Texels of 16 bytes are the faster way to load here, whatever way the device has for other kernels.
func bindTokens(s *pipeline.Set, rows, stride int, list ...*gpu.Range) bool {
	bytes := 4 * rows * stride
	for _, in := range list {
		in.Size = min(in.Size, bytes)
	}
	return bytes <= s.Is.TexelBytes
}

// WKV6 records RWKV-5's or RWKV-6's recurrence over so many rows of so many sequences.
func WKV6(s *pipeline.Set, rec *gpu.Recording, o *op.WKV6, rows, seqs int, args shaders.Wkv6Args, push shaders.Wkv6Push) error {
	v := pipeline.Way(bindTokens(s, rows, o.Y.Stride(), &args.R, &args.K, &args.V), shaders.Wkv6NarrowBuf, shaders.Wkv6NarrowTx)
	k, err := pipeline.Get(s, v, func() (*shaders.Wkv6Narrow, error) {
		return shaders.NewWkv6Narrow(s.Dev, v, shaders.Wkv6NarrowSpec{})
	})
	if err != nil {
		return err
	}
	k.Dispatch(rec, shaders.Wkv6NarrowArgs(args), shaders.Wkv6NarrowPush(push), uint32(o.Heads*Head/glsl.Narrow6Values), uint32(seqs), 1)
	return nil
}

// WKV7 records RWKV-7's recurrence over so many rows of so many sequences. If single is set, it records the form for
// one row of each sequence.
func WKV7(s *pipeline.Set, rec *gpu.Recording, o *op.WKV7, rows, seqs int, single bool, args shaders.Wkv7Args, push shaders.Wkv7Push) error {
	texel := bindTokens(s, rows, o.Y.Stride(), &args.R, &args.W, &args.K, &args.V, &args.A) && args.State.Size <= s.Is.TexelBytes
	v, values := pipeline.Way(texel, shaders.Wkv7NarrowBuf, shaders.Wkv7NarrowTx), glsl.Narrow7Values
	if single {
		v, values = pipeline.Way(texel, shaders.Wkv7NarrowStep, shaders.Wkv7NarrowStepTx), glsl.Narrow7StepValues
	}
	k, err := pipeline.Get(s, v, func() (*shaders.Wkv7Narrow, error) {
		return shaders.NewWkv7Narrow(s.Dev, v, shaders.Wkv7NarrowSpec{})
	})
	if err != nil {
		return err
	}
	k.Dispatch(rec, shaders.Wkv7NarrowArgs(args), shaders.Wkv7NarrowPush(push), uint32(o.Heads*Head/values), uint32(seqs), 1)
	return nil
}
