package split

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// stage is a Stage of an Exec.
type stage struct {
	Stage
	batch op.Batch // of a stage without logits
}

func (s *stage) fault(err error) error {
	if err == nil || s.Fault == nil {
		return err
	}
	return s.Fault(err)
}

// carried has what stages left for later ones: float32[rows][width] by the operand's ID in the whole program.
type carried map[int][]float32

// run runs a piece: it gives the stage what earlier stages left in at, has forward run it, and leaves there what later
// stages read. spent counts the time of both.
func (s *stage) run(p *div, last bool, at carried, spent *atomic.Int64, forward func(*op.Batch) error) error {
	b := &p.batch
	if !last { // others have the logits
		s.batch = p.batch
		s.batch.Outs = nil
		b = &s.batch
	}
	start := time.Now()
	if len(s.inputs)+len(s.outputs) > 0 {
		if err := s.Exec.Stage(b); err != nil {
			return op.BeforeRun(s.fault(err))
		}
	}
	for i, id := range s.inputs {
		if err := s.Exec.Write(s.Program.Inputs[i], at[id]); err != nil {
			return op.BeforeRun(s.fault(err))
		}
	}
	moved := time.Since(start)
	if err := forward(b); err != nil {
		return s.fault(err)
	}
	start = time.Now()
	for i, id := range s.outputs {
		x, err := s.Exec.Read(s.Program.Outputs[i])
		if err != nil {
			return s.fault(err)
		}
		at[id] = x
	}
	spent.Add(int64(moved + time.Since(start)))
	return nil
}

// parcel is a piece on its way from stage to stage.
type parcel struct {
	piece int
	at    carried
}

// flow runs the pieces of a pass through the stages. A stage works on one piece while the next stage works on the one
// before. changed is set as soon as a state may have changed.
func (e *Exec) flow(ctx context.Context, changed *atomic.Bool) error {
	if len(e.pieces) == 1 {
		at := carried{}
		for i := range e.stages {
			if err := e.runPiece(ctx, i, parcel{0, at}, changed); err != nil {
				return err
			}
		}
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	var from chan parcel
	for i := range e.stages {
		in, out := from, make(chan parcel, 1) // one waits while one is worked on: two buffers for each cut
		from = out
		g.Go(func() error {
			defer close(out)
			for j := range e.pieces {
				p := parcel{j, carried{}}
				if i > 0 {
					var more bool
					if p, more = <-in; !more {
						return nil // the stage before failed, and has said why
					}
				}
				if err := e.runPiece(ctx, i, p, changed); err != nil {
					return err
				}
				if i == len(e.stages)-1 {
					continue
				}
				select {
				case out <- p:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// runPiece runs one piece on the i-th stage.
func (e *Exec) runPiece(ctx context.Context, i int, p parcel, changed *atomic.Bool) error {
	s, last := e.stages[i], i == len(e.stages)-1
	piece := &e.pieces[p.piece]
	err := s.run(piece, last, p.at, &e.cut, func(b *op.Batch) error {
		err := s.Exec.ForwardContext(ctx, b)
		if !op.IsNotRun(err) {
			changed.Store(true)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("layers %d to %d: %w", s.From, s.To-1, err)
	}
	if last && e.logits != nil {
		width := e.prog.Logits.Width
		for j, out := range piece.outs {
			copy(e.logits[out*width:(out+1)*width], s.Exec.Logits(j))
		}
	}
	return nil
}
