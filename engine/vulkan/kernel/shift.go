package kernel

import (
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/pipeline"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

type shiftMix struct {
	fixed
	o     *op.ShiftMix
	norm  normAt
	mix   uint32 // offset in params of the first coefficients
	alone bool   // see commitsAlone
}

// ShiftMix places the weights. The coefficient vectors lie one behind the other.
func (b *builder) ShiftMix(o *op.ShiftMix) error {
	s := &shiftMix{o: o, alone: slices.ContainsFunc(b.env.Prog.Steps, func(s op.Step) bool {
		c, ok := s.Op.(*op.ShiftCommit)
		return ok && c.Last == o.Last && commitsAlone(b.env.Prog, c)
	})}
	b.made = s
	if err := b.load.Vectors([]*uint32{&s.norm.w, &s.norm.b}, o.NormW, o.NormB); err != nil {
		return err
	}
	s.mix = b.load.Next()
	for _, m := range o.Mix {
		if _, err := b.load.Vector(m); err != nil {
			return err
		}
	}
	return nil
}

type shiftCommit struct {
	fixed
	o     *op.ShiftCommit
	alone bool // see commitsAlone
}

// ShiftCommit notes whether shifts may be committed in place.
func (b *builder) ShiftCommit(o *op.ShiftCommit) error {
	b.made = &shiftCommit{o: o, alone: commitsAlone(b.env.Prog, o)}
	return nil
}

// commitsAlone reports whether o moves nothing but the vectors that ShiftMix left before it, each of the same state and
// once, and no other op touches these vectors or the state. Then, if each sequence has one row, ShiftMix may write to
// the state itself.
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

// commitsInPlace reports whether ShiftMix writes to the state itself, so that ShiftCommit has nothing to do.
func (r *Recorder) commitsInPlace(alone bool) bool { return r.InPlace && r.Shape.Single() && alone }

// Record records one workgroup for each row.
func (s *shiftMix) Record(r *Recorder, _ []tune.Form) error {
	o := s.o
	args := shaders.ShiftMixArgs{RowSeq: r.At.RowSeq, Spans: r.At.Spans, X: r.At.Of(o.X),
		Params: r.env.params, State: r.At.Of(o.State), Last: r.At.Of(o.Last), Y: r.At.Of(o.Y)}
	inPlace := r.commitsInPlace(s.alone)
	if inPlace {
		args.Last = args.State
	}
	k, err := r.env.Set.shiftMix(r.Texel(texels(args.X, 16), texels(args.Params, 16), texels(args.State, 16)), inPlace, o.X.Width%4 == 0)
	if err != nil {
		return err
	}
	k.Dispatch(r.Rec, args,
		shaders.ShiftMixPush{Width: uint32(o.X.Width), Mixes: uint32(len(o.Mix)), NormW: s.norm.w / 4, NormB: s.norm.b / 4,
			Mix: s.mix / 4, StateOff: uint32(o.StateOff), StateStride: uint32(o.State.Stride()), Eps: o.Eps},
		uint32(r.Shape.Rows), 1, 1)
	return nil
}

// Record records the copy of each sequence's vector into its slot.
func (s *shiftCommit) Record(r *Recorder, _ []tune.Form) error {
	if r.commitsInPlace(s.alone) {
		return nil
	}
	k, err := r.env.Set.shiftCommit()
	if err != nil {
		return err
	}
	last := s.o.Last
	k.Dispatch(r.Rec, shaders.ShiftCommitArgs{Spans: r.At.Spans, Last: r.At.Of(last), State: r.At.Of(s.o.State)},
		shaders.ShiftCommitPush{Width: uint32(last.Width), Stride: uint32(last.Stride())},
		pipeline.Groups(last.Width, r.env.Set.Is.Local.Plain), uint32(r.Shape.Seqs), 1)
	return nil
}

// shiftKey is the key of a form of shift_mix.
type shiftKey struct {
	v              shaders.ShiftMixVariant
	inPlace, whole bool
}

func (k *Set) shiftMix(texel, inPlace, whole bool) (*shaders.ShiftMix, error) {
	v := pipeline.Way(texel, shaders.ShiftMixBuf, shaders.ShiftMixTx)
	return pipeline.Get(k.Set, shiftKey{v, inPlace, whole}, func() (*shaders.ShiftMix, error) {
		return shaders.NewShiftMix(k.Dev, v, shaders.ShiftMixSpec{Local: k.Is.Local.Norm, Single: k.Is.Local.Single,
			InPlace: pipeline.Flag(inPlace, 1), Whole: pipeline.Flag(whole, 1)}, k.Full()...)
	})
}

func (k *Set) shiftCommit() (*shaders.ShiftCommit, error) {
	return pipeline.Get(k.Set, shaders.ShiftCommitOnly, func() (*shaders.ShiftCommit, error) {
		return shaders.NewShiftCommit(k.Dev, shaders.ShiftCommitOnly, shaders.ShiftCommitSpec{Local: k.Is.Local.Plain})
	})
}
