package vulkan

import (
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// What wkv7_narrow.comp fixes: the size of a head, as all official models have it, the rows of its state that a workgroup
// takes, and the lanes of that workgroup.
const (
	narrowHead  = 64
	narrowRows  = 8
	narrowLanes = 4
)

// runsQuads tells whether a device can run wkv7_narrow, for narrow devices or not.
func runsQuads(info gpu.Info) bool {
	s := info.Subgroup
	return s.Min >= narrowLanes && s.HasOp("quad") && s.HasOp("ballot")
}

// takesQuads tells whether wkv7_narrow is the recurrence of an op, for any number of tokens.
func (s *kernelShape) takesQuads(o *op.WKV7) bool { return s.quads && o.N == narrowHead }

// narrow7 records the recurrence by wkv7_narrow. However the device loads else, texels of 16 bytes are the faster way here,
// so what tokens bring is bound no further than the pass has tokens.
func (r *recorder) narrow7(o *op.WKV7, args shaders.Wkv7Args, push shaders.Wkv7Push) error {
	bytes, most := 4*r.shape.rows*o.Y.Stride(), r.kernels.shape.texelBytes
	for _, in := range []*gpu.Range{&args.R, &args.W, &args.K, &args.V, &args.A} {
		in.Size = min(in.Size, bytes)
	}
	v := form(max(bytes, args.State.Size) <= most, shaders.Wkv7NarrowBuf, shaders.Wkv7NarrowTx)
	k, err := kernel(r.kernels, v, func() (*shaders.Wkv7Narrow, error) {
		return shaders.NewWkv7Narrow(r.dev, v, shaders.Wkv7NarrowSpec{})
	})
	if err != nil {
		return err
	}
	k.Dispatch(r.rec, shaders.Wkv7NarrowArgs(args), shaders.Wkv7NarrowPush(push),
		uint32(o.Heads*narrowHead/narrowRows), uint32(r.shape.seqs), 1)
	return nil
}
