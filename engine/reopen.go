package engine

import "context"

// Reopen makes the engine anew after the device was lost: it opens the device, loads the weights and gives every sequence in
// use the state that it had, from what is kept (see Options.Keep) and the tokens fed since. What a pass or burst returned
// counts; one that failed has not been, and can be made again. Without Keep sequences fail with ErrStateLost until they are
// restored. Where ctx is done before all are made again, the others are when they are used next. If Reopen fails, so does
// every other call, by the same error, and it may be called again.
//
// Other engines on the same device have to be reopened too. On a device that works Reopen does the same.
func (e *Engine) Reopen(ctx context.Context) error {
	if err := e.table.beginAnyhow(ctx); err != nil {
		return err
	}
	defer e.table.end()
	e.keeper.settle()
	if e.table.broken == nil {
		_ = e.host.exec.Close() // of a lost device nothing else is to be had
	}
	seqs := e.table.live()
	for _, s := range seqs {
		s.stale = true
	}
	err := e.host.dev.reopen(e.host.opened)
	if err == nil {
		err = e.host.load()
	}
	if e.table.replaced(err); err != nil || !e.keeper.keeps() {
		return err
	}
	return e.keeper.revive(ctx, seqs)
}
