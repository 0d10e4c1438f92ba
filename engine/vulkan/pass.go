package vulkan

import (
	"context"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// A pass over many rows may take seconds on a slow device. Systems reset a device that is busy with one submission for
// about two, other work on it waits for the end of one, and nothing can be given up within one; so a pass that takes long
// is submitted in parts. The batch stays whole, and with it the speed: dispatches are the same as in one submission.
const (
	longestPart = 250 * time.Millisecond
	goodPart    = longestPart / 2
	shortPart   = longestPart / 8 // parts that take less on average are too many
	dangerous   = 4 * longestPart
	maxRest     = 63
)

// pass is the commands of a shape, in parts of about as many units: a unit is a step of the program, or a draw.
type pass struct {
	units int
	work  float64 // see expected
	parts []*gpu.Commands
	open  []wish // what of it may yet be faster
	runs  int    // so far
	rest  int    // runs before it is divided otherwise: to record it costs time, and a device's speed may go up and down

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

// partsFor returns the parts that divide what takes so long into good ones.
func partsFor(took time.Duration, units int) int {
	return min(max(int((took+goodPart-1)/goodPart), 1), units)
}

// better returns how many parts the pass should have, by its last run. Parts that took dangerously long are divided at
// once, others if it was no moment's disturbance; they are joined again only when they are far too short. Each change makes
// the next one wait longer.
func (p *pass) better() int {
	n := len(p.parts)
	switch {
	case p.longest <= dangerous && p.runs < p.rest:
	case p.longest > dangerous, p.over > 1:
		return min(max(n+1, partsFor(p.longest*time.Duration(n), p.units)), p.units)
	case p.total > 0 && n > 1 && p.total < shortPart*time.Duration(n):
		return min(partsFor(p.total, p.units), n)
	}
	return n
}

// known is the time of a pass that was run: of the most rows so far, or of less time for a row.
type known struct {
	rows int
	took time.Duration
	work float64
}

// learn takes the time of another pass for the better known one. A pass may have been held up, as by a computer that was put
// to sleep, so one that shows rows to take less counts too, however few they are.
func (k *known) learn(p known) {
	if p.rows >= k.rows || float64(p.took)*float64(k.rows) < float64(k.took)*float64(p.rows) {
		*k = p
	}
}

// guess returns the parts of a pass that was never run: the time of one grows with its rows, at most in proportion.
// Before anything is known each step is a part.
func (k known) guess(rows, units int) int {
	if k.rows == 0 {
		return units
	}
	return partsFor(k.took*time.Duration(max(rows, k.rows))/time.Duration(k.rows), units)
}

// run submits the parts of a pass, or of several, over so many rows and waits for them, two at most being under way at a time. When ctx
// is done it submits no more; then what the pass should have written is undefined.
func (e *Exec) run(ctx context.Context, p *pass, rows int) error {
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
		from := e.now()
		if failed := p.parts[done].Wait(); failed != nil && err == nil {
			err = failed
		}
		now := e.now()
		e.waited += now.Sub(from)
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
	p.total, p.longest, e.longest = total, longest, max(e.longest, longest)
	p.runs++
	if p.over++; longest <= longestPart {
		p.over = 0
	}
	e.known.learn(known{rows, total, p.work})
	return nil
}

// Waited returns how long all calls of Forward and Decode so far have waited for the device.
func (e *Exec) Waited() time.Duration { return e.waited }

// LongestSubmission returns the longest time that the device took for one submission of a Forward or Decode since the
// last call.
func (e *Exec) LongestSubmission() time.Duration {
	longest := e.longest
	e.longest = 0
	return longest
}

// recordPass records a pass, called what in errors, in so many parts, or with none in as many as seem good: begin before the
// first unit, end after the last. Kernels that are not there yet are made side by side while all parts are recorded.
func (e *Exec) recordPass(what string, s shape, units, parts int, begin func(*gpu.Recording), each func(*recorder, int) error,
	end func(*gpu.Recording)) (*pass, error) {
	if parts == 0 {
		parts = e.known.guess(s.rows, units)
	}
	p := &pass{units: units}
	recs := make([]*gpu.Recording, 0, parts)
	for i := range parts {
		r := &recorder{Exec: e, rec: e.dev.NewRecording(), shape: s, whole: true, inPlace: true, open: p.open}
		recs = append(recs, r.rec)
		from, to := i*units/parts, (i+1)*units/parts
		r.rec.SetName(what + ", " + e.describeSteps(from, to))
		if i == 0 {
			begin(r.rec)
		}
		for unit := from; unit < to; unit++ {
			if err := each(r, unit); err != nil {
				return nil, err
			}
		}
		if i == parts-1 {
			end(r.rec)
		}
		p.work, p.open = p.work+r.work, r.open
	}
	for _, rec := range recs {
		c, err := rec.End()
		if err != nil {
			p.release()
			return nil, err
		}
		p.parts = append(p.parts, c)
	}
	return p, nil
}

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

// settled tells whether no pass may yet be faster.
func (c *passCache[S]) settled() bool {
	return !slices.ContainsFunc(c.entries, func(e passEntry[S]) bool { return len(e.pass.open) > 0 })
}

func (c *passCache[S]) release() {
	for _, entry := range c.entries {
		entry.pass.release()
	}
	c.entries = nil
}
