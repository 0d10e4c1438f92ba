package statecache

import (
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache/radix"
)

// Kind says how important a place in a text is.
type Kind uint8

// Kinds, the least important first.
const (
	None    Kind = iota // no place for a checkpoint
	Passing             // a place within a segment: thinned first
	Turn                // the end of a segment: thinned later
	Anchor              // a place that many texts share, such as the end of a system prompt: never thinned
)

// Meta lies beside the state of a checkpoint. The cache reads Kind only.
type Meta struct {
	Kind    Kind
	Pending int    // an id that was drawn and not fed, or -1
	Sampler []byte // the sampler in its own form; the caller does not write to it any more
}

// A tier is a place for copies.
const (
	host = iota
	onDisk
	tiers
)

// entry is a checkpoint. It is the value of its node while it has a copy.
type entry struct {
	Meta
	space   spaceKey
	node    *radix.Node[entry]
	saved   int // tokens between the checkpoint above and this one, to be read again without it
	pins    int // users of the copies; copies in use stay
	copies  [tiers]holding
	state   []float32 // in host memory
	file    string    // on disk: the name
	used    time.Time // of the file: its last use that is known
	touched bool      // reports whether that is to be told to other processes
	queued  bool      // reports whether the entry waits for the writer
}

// gone reports whether the entry has been forgotten.
func (e *entry) gone() bool { return e.node == nil }

// lone reports whether the entry has one copy only, in tier t.
func (e *entry) lone(t int) bool {
	for u := range e.copies {
		if u != t && e.copies[u].there {
			return false
		}
	}
	return e.copies[t].there
}
