package engine

import (
	"context"
	"slices"
)

// Reopen makes the engine anew after the device was lost. It opens the device, loads the weights and gives every
// sequence in use its state again, from the kept state (see Options.Keep) and the tokens fed since. What a pass or
// burst returned counts. A call that failed did not happen, and can be made again. Without Keep sequences fail with
// ErrStateLost until they are restored. If ctx is done before all sequences are made again, the others are made when
// they are used next. If Reopen fails, every other call fails by the same error, and Reopen may be called again.
//
// Reopen waits for the turns of other engines on the same device. If the device was lost, they have to be reopened too.
// Until then their calls fail by ErrDeviceLost. If the device works, for example after another engine's Reopen, only
// this engine is made anew.
func (e *Engine) Reopen(ctx context.Context) error {
	if err := e.table.beginAnyhow(ctx); err != nil {
		return err
	}
	defer e.table.end()
	seqs := e.table.live()
	for _, s := range seqs {
		s.stale = true
	}
	err := e.host.use.Reopen()
	if err == nil {
		err = e.host.load()
	}
	if e.table.replaced(err); err != nil || !e.keeper.keeps() {
		return err
	}
	if err := e.host.use.Begin(); err != nil {
		return err
	}
	defer e.host.use.End()
	seqs = slices.DeleteFunc(seqs, func(s *Seq) bool { return e.keeper.checkState(s) != nil })
	return e.keeper.revive(ctx, seqs)
}

// leave ends what is under way on the device and closes the executor, if there is one. Nobody uses either meanwhile.
func (k *keeper) leave() {
	if k.h.left {
		return
	}
	k.h.left = true
	k.settle()
	_ = k.h.exec.Close() // of a lost device nothing else is to be had
}
