package vulkan

import (
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

type shiftMixOp struct {
	norm normOp
	mix  uint32 // offset in params of the first coefficients
}

// ShiftMix places the weights; the coefficient vectors come to lie one behind the other.
func (p *preparer) ShiftMix(o *op.ShiftMix) error {
	var s shiftMixOp
	if err := p.load.Vectors([]*uint32{&s.norm.w, &s.norm.b}, o.NormW, o.NormB); err != nil {
		return err
	}
	s.mix = p.load.Next()
	for _, m := range o.Mix {
		if _, err := p.load.Vector(m); err != nil {
			return err
		}
	}
	p.ops.shiftMixes[o] = s
	return nil
}

// ShiftCommit notes what may be committed at once.
func (p *preparer) ShiftCommit(o *op.ShiftCommit) error {
	p.ops.inPlace[o.Last] = commitsAlone(p.prog, o)
	return nil
}

// commitsAlone tells whether all that o moves was left by ShiftMix of the same state before it, once each, and nothing else
// touches either. Then with one row to a sequence each ShiftMix may write to the state itself.
func commitsAlone(prog *op.Program, o *op.ShiftCommit) bool {
	left := map[int]bool{} // offsets
	width, alone, before := 0, true, true
	for i := range prog.Steps {
		switch s := prog.Steps[i].Op.(type) {
		case *op.ShiftCommit:
			if s == o {
				before = false
				continue
			}
		case *op.ShiftMix:
			if s.Last == o.Last && s.State == o.State && before && !left[s.StateOff] {
				left[s.StateOff] = true
				width += op.Stride(s.X.Width)
				continue
			}
		}
		prog.Steps[i].Op.Operands(func(_ string, v op.View, _ op.Access) {
			alone = alone && v.Of != o.Last && v.Of != o.State
		})
	}
	return alone && width == o.Last.Stride()
}

// commitsInPlace tells whether ShiftMix writes to the state itself, and ShiftCommit has nothing to do.
func (r *recorder) commitsInPlace(last *op.Operand) bool {
	return r.inPlace && r.shape.rows == r.shape.seqs && r.ops.inPlace[last]
}

// ShiftMix records one workgroup for each row.
func (r *recorder) ShiftMix(o *op.ShiftMix) error {
	args := shaders.ShiftMixArgs{RowSeq: r.tables.rowSeq, Spans: r.tables.spans, X: r.scratchOf(o.X),
		Params: r.params.All(), State: r.stateOf(o.State), Last: r.scratchOf(o.Last), Y: r.scratchOf(o.Y)}
	inPlace := r.commitsInPlace(o.Last)
	if inPlace {
		args.Last = args.State
	}
	k, err := r.kernels.shiftMix(r.texel(texels(args.X, 16), texels(args.Params, 16), texels(args.State, 16)), inPlace, o.X.Width%4 == 0)
	if err != nil {
		return err
	}
	s := r.ops.shiftMixes[o]
	k.Dispatch(r.rec, args,
		shaders.ShiftMixPush{Width: uint32(o.X.Width), Mixes: uint32(len(o.Mix)), NormW: s.norm.w / 4, NormB: s.norm.b / 4,
			Mix: s.mix / 4, StateOff: uint32(o.StateOff), StateStride: uint32(o.State.Stride()), Eps: o.Eps},
		uint32(r.shape.rows), 1, 1)
	return nil
}

// ShiftCommit records the copy of each sequence's vector into its slot.
func (r *recorder) ShiftCommit(o *op.ShiftCommit) error {
	if r.commitsInPlace(o.Last) {
		return nil
	}
	k, err := r.kernels.shiftCommit()
	if err != nil {
		return err
	}
	groups := groupsOf(o.Last.Width, r.kernels.shape.Local.Plain)
	k.Dispatch(r.rec, shaders.ShiftCommitArgs{Spans: r.tables.spans, Last: r.scratchOf(o.Last), State: r.stateOf(o.State)},
		shaders.ShiftCommitPush{Width: uint32(o.Last.Width), Stride: uint32(o.Last.Stride())}, groups, uint32(r.shape.seqs), 1)
	return nil
}

// groupsOf returns how many workgroups of a size cover n items.
func groupsOf(n int, size uint32) uint32 { return (uint32(n) + size - 1) / size }
