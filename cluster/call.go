package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

// Errors of calls, to be tested with errors.Is.
var (
	// ErrLost says that a peer is not heard of, or not completely. It may have done what it was asked.
	ErrLost = errors.New("cluster: the replica is lost")
	// ErrEnded is the error of what is sent in a call that has ended.
	ErrEnded = errors.New("cluster: the call has ended")
)

// Window is how many bytes of frames may be under way that the caller has not taken.
const Window = 1 << 20

const (
	mostPart  = 256 << 10 // bytes of a message
	mostWhole = 256 << 20 // bytes of a request or a frame
	confirm   = 300 * time.Millisecond
)

// What messages to a worker and to a caller are, by their first byte.
const (
	partMessage   = 'p' // of a request: its place and the number of parts
	takenMessage  = 't' // how many bytes the caller has taken
	endMessage    = 'x' // of the call
	frameMessage  = 'f' // a frame or the end of one
	moreMessage   = 'm' // of a frame, of which more follows
	closeMessage  = 'e' // the answer has ended
	aliveMessage  = 'a' // the worker is there
	refuseMessage = 'r' // the worker takes no such call
)

// Call is work that another replica does. Next is for one goroutine, Close for any.
type Call struct {
	n        *Node
	peer, id string
	ready    chan struct{} // full when there is something to look at
	closing  sync.Once
	done     chan struct{}

	mu       sync.Mutex
	frames   [][]byte
	part     []byte // of a frame that has not come whole
	next     uint64 // number of the next message with a frame
	err      error  // by which the call has ended, once frames are taken
	heard    time.Time
	answered bool   // reports whether the worker has said anything
	taken    uint64 // bytes of messages
}

// Call has a peer work on a request.
func (n *Node) Call(ctx context.Context, peer string, request []byte) (*Call, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(request) > mostWhole {
		return nil, fmt.Errorf("cluster: want requests of at most %d bytes, got %d", mostWhole, len(request))
	}
	c := &Call{n: n, peer: peer, id: nuid.Next(), ready: make(chan struct{}, 1), done: make(chan struct{}), heard: time.Now()}
	n.mu.Lock()
	n.calls[c.id] = c
	if p := n.peers[peer]; p != nil {
		p.sent++
	}
	n.mu.Unlock()
	parts := max((len(request)+mostPart-1)/mostPart, 1)
	for i := range parts {
		head := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(i)), uint64(parts))
		if err := c.send(partMessage, append(head, request[min(i*mostPart, len(request)):min((i+1)*mostPart, len(request))]...)); err != nil {
			c.Close()
			return nil, fmt.Errorf("%w: %w", ErrLost, err)
		}
	}
	go c.confirm(ctx)
	return c, nil
}

// send sends the worker a message.
func (c *Call) send(kind byte, data []byte) error {
	m := &nats.Msg{Subject: c.n.subject("to", c.n.o.Group, c.peer), Reply: c.n.subject("from", c.n.o.Group, c.n.id, c.id)}
	m.Data = append(append(append(make([]byte, 0, 1+len(c.id)+1+len(data)), kind), c.id...), ' ')
	m.Data = append(m.Data, data...)
	return c.n.nc.PublishMsg(m)
}

// confirm tells the worker what was taken, until the call ends. Whoever hears of it knows that the caller is there.
func (c *Call) confirm(ctx context.Context) {
	t := time.NewTicker(confirm)
	defer t.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-ctx.Done():
			c.lose(ctx.Err())
			return
		case <-t.C:
			c.tell()
		}
	}
}

func (c *Call) tell() {
	c.mu.Lock()
	taken := c.taken
	c.mu.Unlock()
	_ = c.send(takenMessage, binary.AppendUvarint(nil, taken)) // where it does not come, the next one does
}

// Next waits for a frame. The error is io.EOF behind the last one, ErrLost, or that of the call's context.
func (c *Call) Next() ([]byte, error) {
	t := time.NewTimer(c.patience())
	defer t.Stop()
	for {
		frame, told, err := c.first()
		if told {
			c.tell()
		}
		if frame != nil || err != nil {
			return frame, err
		}
		select {
		case <-c.ready:
		case <-t.C:
			if left := c.patience(); left > 0 {
				t.Reset(left)
				continue
			}
			c.n.lost(c.peer)
			c.lose(ErrLost)
		}
	}
}

// patience returns how long the call waits for the worker's next word. A worker that is there says so at once: if it does
// not, the next one is asked sooner.
func (c *Call) patience() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	silence := c.n.o.Silence
	if !c.answered {
		silence /= 2
	}
	return silence - time.Since(c.heard)
}

// first takes the first frame that is there. It reports whether the worker is to be told of what was taken.
func (c *Call) first() (frame []byte, told bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.frames) == 0 {
		return nil, false, c.err
	}
	frame = c.frames[0]
	c.frames = c.frames[1:]
	before := c.taken
	c.taken += uint64(len(frame))
	return frame, before/(Window/4) != c.taken/(Window/4), nil
}

// frame takes a message of a worker.
func (n *Node) frame(m *nats.Msg) {
	id := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
	n.mu.Lock()
	c := n.calls[id]
	n.mu.Unlock()
	switch {
	case c == nil: // of a call that has ended
	case len(m.Data) == 0: // nobody is there, as the server says
		n.lost(c.peer)
		c.lose(ErrLost)
	default:
		c.take(m.Data[0], m.Data[1:])
	}
}

// take takes a message: its kind, the number of messages with frames before it, and more of a frame.
func (c *Call) take(kind byte, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.heard, c.answered = time.Now(), true
	number, size := binary.Uvarint(data)
	if size <= 0 || number != c.next {
		c.end(ErrLost)
		return
	}
	switch data = data[size:]; kind {
	case aliveMessage:
	case moreMessage, frameMessage:
		c.next++
		if c.part = append(c.part, data...); len(c.part) > mostWhole {
			c.end(ErrLost)
			return
		}
		if kind == frameMessage {
			c.frames = append(c.frames, c.part)
			c.part = nil
			c.poke()
		}
	case closeMessage:
		c.end(io.EOF)
	default: // such as refuseMessage
		c.end(ErrLost)
	}
}

func (c *Call) poke() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// end notes by what the call has ended. The lock is held.
func (c *Call) end(err error) {
	if c.err == nil {
		c.err = err
		c.poke()
	}
}

// lose ends the call. Frames that have come can be taken still.
func (c *Call) lose(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end(err)
}

// Close ends the call, and has the worker end it.
func (c *Call) Close() {
	c.closing.Do(func() {
		close(c.done)
		c.n.mu.Lock()
		delete(c.n.calls, c.id)
		c.n.mu.Unlock()
		c.mu.Lock()
		ended := errors.Is(c.err, io.EOF)
		c.end(ErrEnded)
		c.mu.Unlock()
		if !ended {
			_ = c.send(endMessage, nil) // where it does not come, the worker hears nothing more
		}
	})
}
