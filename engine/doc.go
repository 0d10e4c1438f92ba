// Package engine runs RWKV models: many sequences, each in a slot that holds its state, on one device, which package device opens.
//
// # Passes and bursts
//
// A Pass runs the model once over rows that may mix pieces of prompts with single tokens; each row has its own outcome. Feed
// runs as many passes as rows need. A Burst draws the next tokens of sequences, several in one submission where the device
// draws them. There may be many more sequences than fit a pass: a slot costs its state and nothing else.
//
// # Concurrency
//
// All methods of Engine and Seq may be called by any goroutine at any time. Those that use the device take turns, in no set
// order: Pass, Feed (for each of its passes), Burst, NewSeq, Fork, Save, Restore, Prepare, PassTimes, Reopen and Close. Save
// and Restore hold the turn until their copies are submitted, which waits for others where many are under way, and not until
// they are done. Release and Stats wait for nothing. Functions that a call is given,
// such as Row.Each, run while it has the turn, so they may call Release, Stats and Transfer.Wait, and nothing else of the
// engine. Rows, continuations and samplers belong to the call that was given them until it returns.
//
// # Errors
//
// What is wrong with one row or continuation is its Err, and nothing happens to the others. What a call returns is of the
// device or of its context, and is to be tested with errors.Is for ErrDeviceLost, ErrOutOfMemory, ErrTimeout, ErrNoSlot,
// ErrNotInUse, ErrStateLost, ErrClosed and context.Canceled. After ErrDeviceLost, Reopen makes all anew.
package engine
