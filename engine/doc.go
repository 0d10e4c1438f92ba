// Package engine runs RWKV models on a device, which package device opens. It runs many sequences, each in a slot with
// its state.
//
// # Passes and bursts
//
// A Pass runs the model once over rows. A row is a piece of a prompt or a single token, and each row has its own
// outcome. Feed runs as many passes as rows need. A Burst draws the next tokens of sequences, several in one submission
// if the device draws them. There may be many more sequences than fit a pass: a slot costs its state and nothing else.
//
// # Concurrency
//
// Any goroutine may call any method of Engine and Seq at any time. Calls that use the device take turns, in no set
// order: Pass, Feed (for each of its passes), Burst, NewSeq, Fork, Swap, Save, Restore, Prepare, PassTimes, Reopen and
// Close. Save and Restore keep the turn until their copies are submitted, not until the copies are done. If many copies are
// under way, that includes a wait for others. Release and Stats wait for nothing. Functions given to a call, such as
// Row.Each, run while the call has the turn. So they may call Release, Stats and Transfer.Wait, and nothing else of the
// engine. Rows, continuations and samplers belong to the call that has them until it returns.
//
// # Errors
//
// A mistake in one row or continuation is its Err, and nothing happens to the others. The error that a call returns is
// the device's or its context's. Test it with errors.Is for ErrDeviceLost, ErrOutOfMemory, ErrTimeout, ErrNoSlot,
// ErrNotInUse, ErrStateLost, ErrClosed and context.Canceled. After ErrDeviceLost, Reopen makes the engine anew.
package engine
