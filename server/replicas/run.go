package replicas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/cluster"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// A caller has the frames of a run.
type caller interface {
	Next() ([]byte, error) // io.EOF behind the last one
	Close()
}

// open starts a run in a replica.
func (m *Model) open(ctx context.Context, to string, a *asked) (caller, error) {
	data, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("the request of this replica: %w", err)
	}
	if to == m.node.ID() {
		return m.ownRun(ctx, data), nil
	}
	c, err := m.node.Call(ctx, to, data)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ownRun is a run in this process, by the code that serves others.
type ownRun struct {
	frames chan []byte
	ctx    context.Context
	cancel context.CancelFunc
}

func (m *Model) ownRun(ctx context.Context, request []byte) *ownRun {
	c := &ownRun{frames: make(chan []byte, 16)}
	c.ctx, c.cancel = context.WithCancel(ctx)
	m.work.Add(1)
	go func() {
		defer m.work.Done()
		defer close(c.frames)
		m.serve(c.ctx, request, func(frame []byte) error {
			select {
			case c.frames <- frame:
				return nil
			case <-c.ctx.Done():
				return c.ctx.Err()
			}
		})
	}()
	return c
}

func (c *ownRun) Next() ([]byte, error) {
	if data, there := <-c.frames; there {
		return data, nil
	}
	if err := c.ctx.Err(); err != nil {
		return nil, err
	}
	return nil, io.EOF
}

func (c *ownRun) Close() {
	c.cancel()
	for range c.frames { // until the work is over
	}
}

// next returns the next frame of a run.
func next(c caller) (*frame, error) {
	data, err := c.Next()
	if err != nil {
		return nil, err
	}
	f := new(frame)
	if err := json.Unmarshal(data, f); err != nil {
		return nil, fmt.Errorf("%w: a frame that is none: %w", cluster.ErrLost, err)
	}
	return f, nil
}

// began waits until a run begins. Without an error and without a fault it has.
func began(c caller) (*fault, error) {
	f, err := next(c)
	switch {
	case err != nil:
		return nil, err
	case f.Fault != nil:
		return f.Fault, nil
	case !f.Began:
		return nil, fmt.Errorf("%w: a frame before the beginning", cluster.ErrLost)
	}
	return nil, nil
}

// begin begins requests in the replica that fits best, or in the next one where that takes none.
func (m *Model) begin(ctx context.Context, list []api.Request, a *asked) ([]api.Stream, error) {
	places := placesOf(&list[0])
	var last error // of a replica that takes no more
	for _, to := range m.choose(ctx, places) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if to.own {
			streams, err := m.startHere(ctx, list)
			if err == nil || !faultOf(err).passes() {
				return streams, err
			}
			last = err
			continue
		}
		work, cancel := context.WithCancel(ctx)
		c, err := m.open(work, to.id, a)
		var f *fault
		if err == nil {
			f, err = began(c)
		}
		if err == nil && f == nil {
			m.away.Add(1)
			m.warm.set(ownKey(places), to.id)
			return m.follow(ctx, work, cancel, c, to.id, list, a), nil
		}
		if c != nil {
			c.Close()
		}
		cancel()
		if f != nil {
			last = f.err()
			if !f.passes() {
				return nil, last
			}
		}
	}
	if last == nil {
		last = m.Health() // without an error all others were lost
	}
	if last != nil {
		return nil, last
	}
	return m.startHere(ctx, list)
}

// follow returns the answers of a run that has begun, and has them go on in others where it is lost.
func (m *Model) follow(ctx, work context.Context, cancel context.CancelFunc, c caller, to string, list []api.Request, a *asked) []api.Stream {
	answers, streams := make([]*answer, len(list)), make([]api.Stream, len(list))
	contexts := make([]context.Context, len(list))
	for i := range list {
		own, leave := context.WithCancel(ctx)
		answers[i] = &answer{traced: list[i].Traced, began: time.Now(), wentOn: m.wentOn, ready: make(chan struct{}, 1)}
		contexts[i], streams[i] = own, answers[i]
		answers[i].cancel = func() {
			leave()
			if allOver(answers) {
				cancel()
			}
		}
	}
	m.work.Add(1)
	go func() {
		defer m.work.Done()
		defer cancel()
		err := receive(c, answers)
		c.Close()
		if work.Err() != nil && ctx.Err() == nil { // all of them were closed
			return
		}
		for i, x := range answers {
			if x.over() {
				continue
			}
			m.work.Add(1)
			go func() {
				defer m.work.Done()
				m.resume(contexts[i], x, a, i, to, err)
			}()
		}
	}()
	return streams
}

func allOver(answers []*answer) bool {
	for _, a := range answers {
		if !a.over() {
			return false
		}
	}
	return true
}

// receive takes the frames of a run until its answers have ended, or returns why some of them have to go on in another.
func receive(c caller, answers []*answer) error {
	why := errors.New("an answer without an end")
	for !allOver(answers) {
		f, err := next(c)
		switch {
		case errors.Is(err, io.EOF):
			return why
		case err != nil:
			return err
		case f.Answer < 0 || f.Answer >= len(answers):
			return fmt.Errorf("%w: a frame of answer %d of %d", cluster.ErrLost, f.Answer, len(answers))
		case f.Fault != nil && f.Fault.passes(): // what others of the run tell still counts
			why = f.Fault.err()
		default:
			answers[f.Answer].take(f)
		}
	}
	return nil
}

const (
	firstPause = 20 * time.Millisecond
	longPause  = time.Second
	mostRounds = 30 // in which every replica takes nothing
)

// resume has an answer of a lost run go on.
func (m *Model) resume(ctx context.Context, x *answer, a *asked, i int, not string, why error) {
	pause := firstPause
	for round := 0; round < mostRounds; round++ {
		if ctx.Err() != nil {
			x.fail(ctx.Err())
			return
		}
		for _, to := range spread(m.candidates(not)) {
			m.o.Log.Warn("cluster: an answer goes on in another run", slog.Any("cause", why), slog.String("lost", not),
				slog.String("in", to.id))
			c, err := m.open(ctx, to.id, x.rest(a, i))
			var f *fault
			if err == nil {
				f, err = began(c)
			}
			if err == nil && f == nil {
				m.resumed.Add(1)
				round, pause = 0, firstPause
				x.again()
				err = receive(c, []*answer{x})
			}
			if c != nil {
				c.Close()
			}
			switch {
			case x.over():
				return
			case f != nil && !f.passes():
				x.fail(f.err())
				return
			case f != nil:
				why = f.err()
			case err != nil:
				why, not = err, to.id
			}
			if ctx.Err() != nil {
				break
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause, not = min(2*pause, longPause), ""
	}
	x.fail(why)
}

// wentOn notes that an answer of a lost run goes on, so long after its last token.
func (m *Model) wentOn(after time.Duration) {
	m.waited.Add(int64(after))
	m.o.Log.Info("cluster: an answer has gone on", slog.Float64("ms", float64(after.Microseconds())/1e3))
}

// rest returns the request for what is left of an answer, the i-th of a call.
func (x *answer) rest(a *asked, i int) *asked {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := *a
	one := a.Answers[i]
	one.Drawn = tokensOf(x.drawn)
	r.Answers, r.Follows = []answerAsked{one}, true
	if x.prompt != nil {
		r.IDs = x.prompt // as the first run read the segments
	}
	return &r
}
