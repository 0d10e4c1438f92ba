package vulkan

import (
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// What wkv6_narrow.comp and wkv7_narrow.comp fix: the size of a head, as all official models of these versions have it, the
// values of its state that a workgroup takes, and those for one token of RWKV-7.
const (
	narrowHead   = 64
	narrowValues = 8
	narrowStep   = 16
)

// takesQuads tells whether they are the recurrence for heads of a size, for any number of tokens.
func (s *kernelShape) takesQuads(head int) bool { return s.Narrow.Quads && head == narrowHead }

// bindTokens makes what tokens bring no larger than those of the pass, and tells whether all of it can be texels. However
// the device loads else, texels of 16 bytes are the faster way here.
func (r *recorder) bindTokens(stride int, list ...*gpu.Range) bool {
	bytes := 4 * r.shape.rows * stride
	for _, in := range list {
		in.Size = min(in.Size, bytes)
	}
	return bytes <= r.kernels.shape.TexelBytes
}

// quads6 records RWKV-5's or RWKV-6's recurrence by wkv6_narrow.
func (r *recorder) quads6(o *op.WKV6, args shaders.Wkv6Args, push shaders.Wkv6Push) error {
	v := form(r.bindTokens(o.Y.Stride(), &args.R, &args.K, &args.V), shaders.Wkv6NarrowBuf, shaders.Wkv6NarrowTx)
	k, err := kernel(r.kernels, v, func() (*shaders.Wkv6Narrow, error) {
		return shaders.NewWkv6Narrow(r.dev, v, shaders.Wkv6NarrowSpec{})
	})
	if err != nil {
		return err
	}
	k.Dispatch(r.rec, shaders.Wkv6NarrowArgs(args), shaders.Wkv6NarrowPush(push),
		uint32(o.Heads*narrowHead/narrowValues), uint32(r.shape.seqs), 1)
	return nil
}

// quads7 records RWKV-7's recurrence by wkv7_narrow.
func (r *recorder) quads7(o *op.WKV7, args shaders.Wkv7Args, push shaders.Wkv7Push) error {
	texel := r.bindTokens(o.Y.Stride(), &args.R, &args.W, &args.K, &args.V, &args.A) && args.State.Size <= r.kernels.shape.TexelBytes
	v, rows := form(texel, shaders.Wkv7NarrowBuf, shaders.Wkv7NarrowTx), narrowValues
	if r.shape.rows == r.shape.seqs && !r.exact {
		v, rows = form(texel, shaders.Wkv7NarrowStep, shaders.Wkv7NarrowStepTx), narrowStep
	}
	k, err := kernel(r.kernels, v, func() (*shaders.Wkv7Narrow, error) {
		return shaders.NewWkv7Narrow(r.dev, v, shaders.Wkv7NarrowSpec{})
	})
	if err != nil {
		return err
	}
	k.Dispatch(r.rec, shaders.Wkv7NarrowArgs(args), shaders.Wkv7NarrowPush(push),
		uint32(o.Heads*narrowHead/rows), uint32(r.shape.seqs), 1)
	return nil
}
