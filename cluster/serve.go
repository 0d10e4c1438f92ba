package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Handler works on the request of a call. It answers by frames of at least one byte. send waits while the caller is
// behind; its error says that the call has ended, and so does ctx.
type Handler func(ctx context.Context, request []byte, send func(frame []byte) error)

// patience is how long a worker goes on whose caller is not heard of.
const patience = 5 * time.Second

// run is a call as its worker has it.
type run struct {
	n      *Node
	reply  string // the subject of the frames
	cancel context.CancelFunc
	ctx    context.Context

	mu    sync.Mutex
	parts [][]byte // of the request; nil once it is whole
	left  int      // parts that have not come
	heard time.Time
	taken uint64        // bytes that the caller has taken
	moved chan struct{} // full when it took more
	sent  uint64        // bytes
	next  uint64        // number of the next message with a frame
}

// take takes a message to this replica as a worker.
func (n *Node) take(ctx context.Context, m *nats.Msg) {
	if len(m.Data) == 0 {
		return
	}
	id, data, found := bytes.Cut(m.Data[1:], []byte{' '})
	if !found {
		return
	}
	n.mu.Lock()
	r := n.runs[string(id)]
	if r == nil && m.Data[0] == partMessage && !n.over {
		r = &run{n: n, reply: m.Reply, moved: make(chan struct{}, 1), heard: time.Now(), left: -1}
		r.ctx, r.cancel = context.WithCancel(ctx)
		n.runs[string(id)] = r
		n.work.Add(1)
		go func() {
			defer n.work.Done()
			r.watch()
			n.mu.Lock()
			delete(n.runs, string(id))
			n.mu.Unlock()
		}()
	}
	n.mu.Unlock()
	if r == nil {
		return
	}
	switch m.Data[0] {
	case partMessage:
		r.part(data)
	case takenMessage:
		r.took(data)
	case endMessage:
		r.cancel()
	}
}

// watch ends the run of a caller that is not heard of, and tells the caller that this replica is there.
func (r *run) watch() {
	t, began := time.NewTicker(beatEvery), time.Now()
	defer t.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-t.C:
		}
		r.mu.Lock()
		silence := time.Since(r.heard)
		_ = r.publish(aliveMessage, nil)
		if r.left != 0 && time.Since(began) > patience { // a part of the request was lost
			r.refuse()
		}
		r.mu.Unlock()
		if silence > patience {
			r.cancel()
		}
	}
}

// part takes a part of the request, and begins to work once all are there.
func (r *run) part(data []byte) {
	i, n := binary.Uvarint(data)
	all, k := binary.Uvarint(data[max(n, 0):])
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = time.Now()
	if n <= 0 || k <= 0 || all == 0 || i >= all || all > mostWhole/mostPart || r.left == 0 || r.left > 0 && int(all) != len(r.parts) {
		r.refuse()
		return
	}
	if r.left < 0 {
		r.parts, r.left = make([][]byte, all), int(all)
	}
	if r.parts[i] != nil {
		r.refuse()
		return
	}
	r.parts[i] = data[n+k:]
	if r.parts[i] == nil {
		r.parts[i] = []byte{}
	}
	if r.left--; r.left > 0 {
		return
	}
	request := bytes.Join(r.parts, nil)
	r.parts = nil
	r.n.do(func() {
		defer r.cancel()
		defer r.close()
		r.n.handle(r.ctx, request, r.send)
	})
}

// refuse ends a run whose request is none. The lock is held.
func (r *run) refuse() {
	_ = r.publish(refuseMessage, nil)
	r.cancel()
}

// close ends the answer, unless the handler failed: then the caller is not told that the answer is whole.
func (r *run) close() {
	if p := recover(); p != nil {
		r.n.o.Log.Error("cluster: work for another replica", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		r.mu.Lock()
		defer r.mu.Unlock()
		r.refuse()
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() == nil {
		_ = r.publish(closeMessage, nil) // a caller who does not hear of it waits for more, and loses the call
	}
}

func (r *run) took(data []byte) {
	taken, n := binary.Uvarint(data)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = time.Now()
	if n > 0 && taken > r.taken {
		r.taken = taken
		select {
		case r.moved <- struct{}{}:
		default:
		}
	}
}

// send sends a frame, in pieces if it is large.
func (r *run) send(frame []byte) error {
	for r.ahead() {
		select {
		case <-r.moved:
		case <-r.ctx.Done():
			return ErrEnded
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		return ErrEnded
	}
	r.sent += uint64(len(frame))
	for kind := byte(moreMessage); kind == moreMessage; r.next++ {
		n := min(len(frame), mostPart)
		if n == len(frame) {
			kind = frameMessage
		}
		if err := r.publish(kind, frame[:n]); err != nil {
			r.cancel()
			return ErrEnded
		}
		frame = frame[n:]
	}
	return nil
}

// ahead reports whether the caller is so far behind that nothing is to be sent.
func (r *run) ahead() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sent > r.taken+Window
}

// publish sends the caller a message. The lock is held, so messages are sent in the order of their numbers.
func (r *run) publish(kind byte, data []byte) error {
	head := binary.AppendUvarint([]byte{kind}, r.next)
	return r.n.nc.Publish(r.reply, append(head, data...))
}
