// Package schedule lets many requests share one engine: continuous batching.
//
// A request enters a bounded queue, and gets a slot of the engine when one is free. Its prompt is fed in pieces between
// the decode steps of the other requests. A piece is as large as the time allows for which their tokens may wait. All
// sequences that decode draw together, in turns if they are more than fit a pass. If requests wait and no slot is free,
// the sequence that has had the most tokens since it got its slot is parked: its state goes to the host's memory, and
// the sequence queues up again. Users take turns in the queue, however many requests each has.
//
// Requests in the background, for which nobody waits, come after all others: they are parked for others at once and for
// each other never, and their prompts are fed in the time that others' prompts leave. So they run in the same passes, and
// a device that is busy with them still answers soon.
//
// A request may begin with a state that has seen the first tokens of its prompt, and may have states kept on its way.
// These are copied to the host beside the passes, and no pass waits for them.
//
// Several requests may have one prompt. It is read once, and its state is copied from slot to slot or, where slots come
// free later, by way of the host.
//
// The ids that a sampler's constraint forces are told at once and fed in one piece, like a prompt. Sequences with
// constraints draw beside the others.
//
// One goroutine of the scheduler does all this. It calls the functions of requests, which have to be quick, but for those
// that are told of kept states. A request may be canceled at any time. A token costs no allocation.
//
// A lost device is opened anew. If the engine keeps sequences (engine.Options.Keep), all of them go on. A token that
// was told is never told again. If the device is lost time after time, with nothing done between, it is given up: all
// requests end.
package schedule
