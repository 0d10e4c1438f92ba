package vulkan

import (
	"context"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// pass is the commands of a shape, in parts of about as many units: a unit is a step of the program, or a draw.
type pass struct {
	units int
	work  float64 // see expected
	parts []*gpu.Commands
	open  []openChoice // what of it may yet be faster
	runs  int          // so far
	rest  int          // runs before it is divided otherwise: to record it costs time, and a device's speed may go up and down

	// Of the last run; 0 before one.
	total   time.Duration
	longest time.Duration // of the parts
	over    int           // runs in a row with a part longer than longestPart
}

func (p *pass) release() {
	for _, c := range p.parts {
		c.Release()
	}
	p.parts = nil
}

// run submits the parts of a pass, or of several, over so many rows and waits for them, two at most being under way at
// a time. When ctx is done it submits no more; then what the pass should have written is undefined.
func (e *runner) run(ctx context.Context, p *pass, rows int) error {
	p.total, p.longest = 0, 0
	var before time.Time // when the device was done with the part before
	var total, longest time.Duration
	var err error
	submitted, done := 0, 0
	for done < len(p.parts) {
		for err == nil && submitted < min(done+2, len(p.parts)) {
			if err = ctx.Err(); err == nil {
				err = p.parts[submitted].Submit()
			}
			if err == nil {
				submitted++
			}
		}
		if done == submitted {
			break
		}
		from := e.pace.now()
		if failed := p.parts[done].Wait(); failed != nil && err == nil {
			err = failed
		}
		now := e.pace.now()
		e.pace.waited += now.Sub(from)
		if done == 0 {
			before = from
		}
		took := now.Sub(before)
		total, longest, before = total+took, max(longest, took), now
		done++
	}
	if err != nil {
		return err
	}
	e.pace.ran(p, rows, total, longest)
	return nil
}

// maxShapes bounds the passes kept.
const maxShapes = 64

// passCache keeps the passes of the shapes used last.
type passCache[S comparable] struct {
	most    int
	record  func(shape S, parts int) (*pass, error)
	entries []passEntry[S] // most recently used last
}

type passEntry[S comparable] struct {
	shape S
	pass  *pass
}

// get returns the pass of a shape, recorded if it is not there or should be divided otherwise.
func (c *passCache[S]) get(s S) (*pass, error) {
	parts, rest, last := 0, 0, len(c.entries)-1
	for i := last; i >= 0; i-- {
		if c.entries[i].shape != s {
			continue
		}
		hit := c.entries[i]
		copy(c.entries[i:], c.entries[i+1:])
		if parts = hit.pass.better(); parts == len(hit.pass.parts) {
			c.entries[last] = hit
			return hit.pass, nil
		}
		rest = min(2*hit.pass.rest+1, maxRest)
		hit.pass.release()
		c.entries = c.entries[:last]
		break
	}
	return c.add(s, parts, rest)
}

// add records the pass of a shape that is not there.
func (c *passCache[S]) add(s S, parts, rest int) (*pass, error) {
	p, err := c.record(s, parts)
	if err != nil {
		return nil, err
	}
	p.rest = rest
	if len(c.entries) == c.most {
		c.entries[0].pass.release()
		c.entries = slices.Delete(c.entries, 0, 1)
	}
	c.entries = append(c.entries, passEntry[S]{s, p})
	return p, nil
}

// renew returns the pass of a shape that was used last, recorded anew.
func (c *passCache[S]) renew(s S) (*pass, error) {
	last := len(c.entries) - 1
	old := c.entries[last].pass
	parts, rest := len(old.parts), old.rest
	old.release()
	c.entries = c.entries[:last]
	return c.add(s, parts, rest)
}

// settled reports whether no pass may yet be faster.
func (c *passCache[S]) settled() bool {
	return !slices.ContainsFunc(c.entries, func(e passEntry[S]) bool { return len(e.pass.open) > 0 })
}

func (c *passCache[S]) release() {
	for _, entry := range c.entries {
		entry.pass.release()
	}
	c.entries = nil
}
