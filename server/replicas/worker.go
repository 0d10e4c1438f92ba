package replicas

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// serveOther answers the request of another replica.
func (m *Model) serveOther(ctx context.Context, request []byte, send func([]byte) error) {
	if !m.leaving.Load() {
		m.serve(ctx, request, send)
		return
	}
	if data, err := json.Marshal(frame{Fault: faultOf(api.ErrClosing)}); err == nil {
		_ = send(data) // a caller who does not hear of it loses the call
	}
}

// serve answers the request of a call.
func (m *Model) serve(ctx context.Context, request []byte, send func([]byte) error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tell := func(f *frame) bool {
		data, err := json.Marshal(f)
		if err == nil {
			err = send(data)
		}
		if err != nil {
			cancel()
		}
		return err == nil
	}
	ctx, list, places, err := m.decode(ctx, request)
	var streams []api.Stream
	if err == nil {
		m.prepare(ctx, list, places)
		streams, err = m.Local.Start(ctx, list)
	}
	if err != nil {
		tell(&frame{Fault: m.faultOf(err)})
		return
	}
	tell(&frame{Began: true})
	var all sync.WaitGroup
	for i, s := range streams {
		all.Add(1)
		go func() {
			defer all.Done()
			m.answer(i, s, tell)
		}()
	}
	all.Wait()
}

// gather is how long what an answer tells is gathered before it is sent, counted from the frame before: a message costs
// more than a token of a small model.
const gather = 10 * time.Millisecond

// answer tells of one of the answers until it ends.
func (m *Model) answer(i int, s api.Stream, tell func(*frame) bool) {
	frames, gone := make(chan *frame, 64), make(chan struct{})
	var reader sync.WaitGroup
	reader.Add(1)
	go func() {
		defer reader.Done()
		defer close(frames)
		m.pieces(i, s, frames, gone)
	}()
	defer func() {
		close(gone)
		s.Close()
		reader.Wait()
		s.Result() // after which nothing of the request goes on
	}()
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		<-t.C
		f, more := <-frames
		for more && !f.ends() {
			next, there := poll(frames)
			if !there {
				break
			}
			f.add(next)
		}
		if !more || !tell(f) || f.ends() {
			return
		}
		t.Reset(gather)
	}
}

// pieces reads an answer until it ends or is gone.
func (m *Model) pieces(i int, s api.Stream, frames chan<- *frame, gone <-chan struct{}) {
	for {
		p, err := s.Next()
		f := &frame{Answer: i, Text: p.Text, Tokens: tokensOf(p.Tokens), Prompt: p.Prompt, Drawn: tokensOf(p.Drawn)}
		switch {
		case errors.Is(err, io.EOF):
			r := s.Result()
			f.Result = &r
		case err != nil:
			f.Fault = m.faultOf(err)
		}
		select {
		case frames <- f:
		case <-gone:
			return
		}
		if err != nil {
			return
		}
	}
}

// poll returns a frame that is there. It reports whether there is one.
func poll(frames <-chan *frame) (f *frame, there bool) {
	select {
	case f, there = <-frames:
	default:
	}
	return f, there
}

// ends reports whether nothing of the answer follows.
func (f *frame) ends() bool { return f.Result != nil || f.Fault != nil }

// add adds what the next frame of the same answer tells.
func (f *frame) add(next *frame) {
	f.Text += next.Text
	f.Tokens, f.Prompt, f.Drawn = append(f.Tokens, next.Tokens...), append(f.Prompt, next.Prompt...), append(f.Drawn, next.Drawn...)
	f.Result, f.Fault = next.Result, next.Fault
}

// faultOf returns an error as it is sent. One that nobody has a name for is told to the log of this replica too.
func (m *Model) faultOf(err error) *fault {
	f := faultOf(err)
	if f.Kind == "other" {
		m.o.Log.Error("cluster: work for another replica", slog.Any("cause", err))
	}
	return f
}
