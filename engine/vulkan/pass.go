package vulkan

import (
	"context"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// pass has the commands for batches of one shape, divided into submissions of about as many items each. An item is a
// step of the program, or a draw.
type pass struct {
	items       int
	work        float64 // see expected
	submissions []*gpu.Commands
	hold        int          // the first submission that waits for the host; 0 if none does
	open        []openChoice // choices for which the tuner may find a faster form
	runs        int          // so far
	rest        int          // runs until it may be divided otherwise: recording costs time, and a device's speed varies

	// Of the last run; 0 before the first.
	total   time.Duration
	longest time.Duration // of the submissions
	over    int           // runs in a row with a submission longer than longestSubmission
}

func (p *pass) release() {
	for _, c := range p.submissions {
		c.Release()
	}
	p.submissions = nil
}

// run submits a pass and waits for it. The pass is over so many rows. At most two of its submissions are under way at a
// time. Before the submission that waits for the host run calls host. When ctx is done run submits no more. After
// an error that is no op.NotRun, the memory that the pass should have written is undefined.
func (e *runner) run(ctx context.Context, p *pass, rows int, host func()) error {
	p.total, p.longest = 0, 0
	var before time.Time // when the device was done with the submission before
	var total, longest time.Duration
	var err error
	submitted, done := 0, 0
	for done < len(p.submissions) {
		for err == nil && submitted < min(done+2, len(p.submissions)) {
			if p.hold > 0 && submitted == p.hold {
				host()
			}
			if err = ctx.Err(); err == nil {
				err = p.submissions[submitted].Submit()
			}
			if err == nil {
				submitted++
			}
		}
		if done == submitted {
			break
		}
		from := e.pace.now()
		if failed := p.submissions[done].Wait(); failed != nil && err == nil {
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
	switch {
	case err != nil && submitted == 0:
		return op.BeforeRun(err)
	case err != nil:
		return err
	}
	e.pace.ran(p, rows, total, longest)
	return nil
}

// maxShapes bounds the passes kept.
const maxShapes = 64

// passCache keeps the passes of the shapes that were used last.
type passCache[S comparable] struct {
	most    int
	record  func(shape S, submissions int) (*pass, error)
	entries []passEntry[S] // most recently used last
}

type passEntry[S comparable] struct {
	shape S
	pass  *pass
}

// get returns the pass of a shape. It records the pass if there is none, or if the pass should be divided otherwise.
func (c *passCache[S]) get(s S) (*pass, error) {
	submissions, rest, last := 0, 0, len(c.entries)-1
	for i := last; i >= 0; i-- {
		if c.entries[i].shape != s {
			continue
		}
		hit := c.entries[i]
		copy(c.entries[i:], c.entries[i+1:])
		if submissions = hit.pass.better(); submissions == len(hit.pass.submissions) {
			c.entries[last] = hit
			return hit.pass, nil
		}
		rest = min(2*hit.pass.rest+1, maxRest)
		hit.pass.release()
		c.entries = c.entries[:last]
		break
	}
	return c.add(s, submissions, rest)
}

// add records the pass of a shape that has none.
func (c *passCache[S]) add(s S, submissions, rest int) (*pass, error) {
	p, err := c.record(s, submissions)
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

// renew records the pass of the shape that was used last anew, and returns it.
func (c *passCache[S]) renew(s S) (*pass, error) {
	last := len(c.entries) - 1
	old := c.entries[last].pass
	submissions, rest := len(old.submissions), old.rest
	old.release()
	c.entries = c.entries[:last]
	return c.add(s, submissions, rest)
}

// settled reports whether the tuner can make no pass faster.
func (c *passCache[S]) settled() bool {
	return !slices.ContainsFunc(c.entries, func(e passEntry[S]) bool { return len(e.pass.open) > 0 })
}

func (c *passCache[S]) release() {
	for _, entry := range c.entries {
		entry.pass.release()
	}
	c.entries = nil
}
