package statecache

import "github.com/rwkv-gpu/rwkv-gpu/engine/statecache/radix"

// Kind is what a place in a text is, and how long a checkpoint there is kept.
type Kind uint8

// Kinds, the least important first.
const (
	None    Kind = iota // no place for a checkpoint
	Passing             // somewhere within a segment: thinned first
	Turn                // the end of a segment
	Anchor              // where many texts part, as the end of a system prompt: never thinned
)

// Meta is what a checkpoint is besides its state. It lies beside the state unread.
type Meta struct {
	Kind    Kind
	Pending int    // the id that was drawn and not fed, or -1
	Sampler []byte // of a sampler that goes on from here; not written to from then on
}

// Resident is a state on the device, which belongs to the cache from the moment it gets it.
type Resident interface {
	Save(state []float32) error // copies it to host memory
	Release()
}

// A tier is a place for copies.
const (
	device = iota
	host
	onDisk
	tiers
)

// entry is a checkpoint. Its node has it as value for as long as it has a copy.
type entry struct {
	Meta
	space    spaceKey
	node     *radix.Node[entry]
	saved    int // tokens that would be read again without it: those since the checkpoint above
	pins     int // who uses a copy: it then stays
	copies   [tiers]holding
	resident Resident  // on the device
	state    []float32 // in host memory
	file     string    // on disk: the name
	queued   bool      // waits for the writer
}

// gone reports whether the entry has been forgotten.
func (e *entry) gone() bool { return e.node == nil }

// lone reports whether t has the entry's only copy.
func (e *entry) lone(t int) bool {
	for u := range e.copies {
		if u != t && e.copies[u].there {
			return false
		}
	}
	return e.copies[t].there
}
