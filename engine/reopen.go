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
	if err := e.beginAnyhow(ctx); err != nil {
		return err
	}
	defer e.end()
	e.settleKept()
	if e.broken == nil {
		_ = e.exec.Close() // of a lost device nothing else is to be had
	}
	seqs := e.live()
	for _, s := range seqs {
		s.stale = true
	}
	err := e.dev.reopen(e.opened)
	if err == nil {
		err = e.load()
	}
	if err != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.broken = err
		return err
	}
	e.count(func(s *Stats) { s.Reopened++ })
	if !e.keeps() {
		return nil
	}
	return e.revive(ctx, seqs)
}
