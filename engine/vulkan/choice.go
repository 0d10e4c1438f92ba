package vulkan

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"
)

// candidate is a form that the tuner may choose. The file has it as kept returns it, with a time.
type candidate interface {
	comparable
	fmt.Stringer
	kept() tuned
}

// contest is a trial of such forms. Between hold and restore it may use memory that others need.
type contest[F candidate] interface {
	fmt.Stringer // of what is worked on
	hold() error
	restore() error
	// probe returns about how long the form takes at most, from a small part of the work; 0 where that is no question.
	probe(f F) (time.Duration, error)
	results(f F) ([]float32, error)
	before() []float32 // what lay, before, where the results come
	time(f F, limit time.Duration) (time.Duration, error)
}

// wish is a choice that may be better when more is measured.
type wish struct {
	key     string
	kind    kind
	used    tuned                           // the form that was recorded
	best    func() (found tuned, more bool) // so far; whether forms are left to try
	measure func(ctx context.Context, until time.Time) error
}

// sumOf tells a list of forms, as they are kept, from others.
func sumOf[F candidate](list []F) string {
	h := fnv.New64a()
	for _, f := range list {
		_, _ = fmt.Fprintln(h, f.kept()) // never fails
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// standing is how far the measurement of a list of forms has come.
type standing struct{ best, next int }

// standing returns it as it was kept. What was the best of other forms may not be that of these. If what was kept is none of
// these, the file was changed, and is not believed.
func standingOf[F candidate](t *Tuner, key string, list []F) standing {
	if have, ok := t.known(key); ok && have.Among == sumOf(list) {
		for i, f := range list {
			if !f.kept().same(have) {
				continue
			}
			if have.Next <= i || have.Next > len(list) {
				return standing{i, len(list)}
			}
			return standing{i, have.Next}
		}
	}
	return standing{0, 1}
}

// choice returns the form of a list that is kept under key, or the first one, which is the usual one; and what is to be
// measured, if that is not all.
func choice[F candidate](e *Exec, key string, k kind, list []F, trial func() (contest[F], error)) (F, *wish) {
	at := standingOf(e.tuner, key, list)
	f := list[at.best]
	if at.next >= len(list) {
		return f, nil
	}
	best := func() (tuned, bool) {
		at := standingOf(e.tuner, key, list)
		return list[at.best].kept(), at.next < len(list)
	}
	return f, &wish{key, k, f.kept(), best, func(ctx context.Context, until time.Time) error {
		c, err := trial()
		if err != nil {
			return err
		}
		at := standingOf(e.tuner, key, list)
		took, err := fastest(ctx, e, c, list, &at, until)
		if err != nil {
			e.tuner.acquit()
			return err
		}
		found := list[at.best].kept()
		found.Among = sumOf(list)
		if found.Micros = int(took.Microseconds()); at.next < len(list) {
			found.Next = at.next
		}
		e.tuner.take(key, found)
		return nil
	}}
}

// settled returns the pass of a shape with the best forms that there is time to find.
func settled[S comparable](ctx context.Context, e *Exec, c *passCache[S], s S) (*pass, error) {
	p, err := c.get(s)
	if err != nil || len(p.open) == 0 {
		return p, err
	}
	changed, err := e.measureOpen(ctx, p)
	if err != nil || !changed {
		return p, err
	}
	return c.renew(s)
}

// measureOpen measures what a pass leaves open and tells whether that, or what was found for another pass, is a reason to
// record it anew.
func (e *Exec) measureOpen(ctx context.Context, p *pass) (changed bool, err error) {
	t := e.tuner
	open := p.open[:0]
	for _, w := range p.open {
		best, more := w.best()
		if more && ctx.Err() == nil {
			_, err := t.measured(e.Device(), w.kind, func(until time.Time) error { return w.measure(ctx, until) })
			if refused(err) {
				continue // the usual form it is, for this pass
			}
			if err != nil {
				return false, err
			}
			best, more = w.best()
		}
		changed = changed || !best.same(w.used)
		if more {
			open = append(open, w)
		}
	}
	p.open = open
	return changed, nil
}
