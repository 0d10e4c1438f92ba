// Package schedule lets many requests share one engine: continuous batching.
//
// A request enters a bounded queue and gets a slot of the engine when one is free. Its prompt is fed in pieces between the
// decode steps of the others, as large as the time allows that a token of theirs may wait. All sequences that decode draw
// together, in turns where they are more than fit a pass. Where requests wait and no slot is free, the sequence that has had
// the most since it came in is parked: its state goes to the host's memory, and the sequence queues up again. Users take
// turns in the queue, whoever of them asks for more.
//
// A request may begin with a state that has seen the first tokens of its prompt, and have states kept on its way. These are
// copied to the host beside the passes, which wait for none of them.
//
// What a sampler's constraint forces is told at once and fed in one piece, as a prompt is. Sequences under constraints draw
// beside the others.
//
// One goroutine of the scheduler does all this and calls the functions of requests, which have to be quick. A request may be
// canceled at any time. A token costs no allocation.
//
// A device that is lost is opened anew; where the engine keeps sequences (engine.Options.Keep), all go on. A token that was
// told is never told again. A device that is lost time after time, with nothing done between, is given up: all requests end.
package schedule
