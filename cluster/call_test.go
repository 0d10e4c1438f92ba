package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rwkv-gpu/rwkv-gpu/cluster/clustertest"
)

// join has a replica of the group work in a cluster.
func join(t *testing.T, url, group string, h Handler) *Node {
	t.Helper()
	n, err := Join(Options{URL: url, Name: "test", Group: group, Host: "h", Silence: time.Minute}) // whatever else the machine does
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Serve(func() Load { return Load{Slots: 3} }, h, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// meet waits until a replica knows so many others.
func meet(t *testing.T, n *Node, others int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); len(n.Peers()) != others; {
		if time.Now().After(deadline) {
			t.Fatalf("%d others, want %d", len(n.Peers()), others)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// see waits until a replica knows another one.
func see(t *testing.T, n, other *Node) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !slices.ContainsFunc(n.Peers(), func(p Peer) bool { return p.ID == other.ID() }); {
		if time.Now().After(deadline) {
			t.Fatal("the replica is not heard of")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Requests and frames of any size come whole and in their order, whichever servers the replicas are connected to, with
// many calls at once.
func TestCalls(t *testing.T) {
	s := clustertest.Start(t, 3)
	// Frames are the request, cut where its bytes say.
	work := func(_ context.Context, request []byte, send func([]byte) error) {
		for len(request) > 0 {
			n := min(1+int(request[0])*int(request[0])*20, len(request))
			if send(request[:n]) != nil {
				return
			}
			request = request[n:]
		}
	}
	var nodes []*Node
	for _, one := range s.All {
		nodes = append(nodes, join(t, one.URL(), "g", work))
	}
	for _, n := range nodes {
		meet(t, n, 2)
	}
	var wg sync.WaitGroup
	for i := range 18 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			a, b := nodes[i%3], nodes[(i+1+i/9)%3]
			request := make([]byte, []int{0, 1, 1000, mostPart, mostPart + 1, 3 << 20}[i%6])
			for k := range request {
				request[k] = byte(rand.Uint32())
			}
			c, err := a.Call(t.Context(), b.ID(), request)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			var got []byte
			for {
				frame, err := c.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Errorf("call %d: %v", i, err)
					return
				}
				got = append(got, frame...)
			}
			if !bytes.Equal(got, request) {
				t.Errorf("call %d: %d bytes came, want the %d that were sent", i, len(got), len(request))
			}
		}()
	}
	wg.Wait()
	for _, n := range nodes {
		for deadline := time.Now().Add(time.Minute); n.open() > 0; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d calls and runs are left", n.open())
			}
		}
	}
}

// open returns how many calls and runs a replica has.
func (n *Node) open() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.calls) + len(n.runs)
}

// A worker whose caller takes nothing waits, and goes on when it does. One whose caller closes the call ends.
func TestBehind(t *testing.T) {
	s := clustertest.Start(t, 1)
	var sent atomic.Int64
	ended := make(chan error, 1)
	frame := make([]byte, 64<<10)
	worker := join(t, s.URL(), "g", func(_ context.Context, _ []byte, send func([]byte) error) {
		for {
			if err := send(frame); err != nil {
				ended <- err
				return
			}
			sent.Add(int64(len(frame)))
		}
	})
	n := join(t, s.URL(), "g", nil)
	meet(t, n, 1)
	c, err := n.Call(t.Context(), worker.ID(), nil)
	if err != nil {
		t.Fatal(err)
	}
	took := int64(0)
	for range 200 {
		f, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		took += int64(len(f))
		if ahead := sent.Load() - took; ahead > Window+2*int64(len(frame)) {
			t.Fatalf("the worker is %d bytes ahead", ahead)
		}
	}
	c.Close()
	if err := <-ended; !errors.Is(err, ErrEnded) {
		t.Error(err)
	}
}

// A call is lost where nobody is there, where the worker is gone in the middle of it or fails, and where a frame is
// missing. Frames before come, and none behind.
func TestLost(t *testing.T) {
	s := clustertest.Start(t, 1)
	hold := make(chan struct{})
	defer close(hold)
	work := func(ctx context.Context, request []byte, send func([]byte) error) {
		for i := range byte(3) {
			_ = send([]byte{i})
		}
		if string(request) == "fail" {
			panic("a test")
		}
		select {
		case <-ctx.Done():
		case <-hold:
		}
	}
	n := join(t, s.URL(), "g", work)
	read := func(c *Call) (got []byte, err error) {
		for {
			var f []byte
			if f, err = c.Next(); err != nil {
				return got, err
			}
			got = append(got, f...)
		}
	}
	for name, do := range map[string]struct {
		request string
		then    func(worker *Node)
	}{
		"gone":   {"", func(w *Node) { w.nc.Close() }},
		"silent": {"", func(w *Node) { w.stop(); w.nc.Close() }},
		"fails":  {"fail", func(*Node) {}},
		"missing": {"", func(w *Node) {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, r := range w.runs {
				r.mu.Lock()
				r.next++
				_ = r.publish(frameMessage, []byte{9})
				r.mu.Unlock()
			}
		}},
	} {
		w, err := Join(Options{URL: s.URL(), Name: "test", Group: "g"})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Serve(func() Load { return Load{} }, work, nil); err != nil {
			t.Fatal(err)
		}
		see(t, n, w)
		c, err := n.Call(t.Context(), w.ID(), []byte(do.request))
		if err != nil {
			t.Fatal(err)
		}
		first, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		for second := []byte(nil); len(second) == 0; {
			if second, err = c.Next(); err != nil {
				t.Fatal(err)
			}
			first = append(first, second...)
		}
		do.then(w)
		got, err := read(c)
		if got = append(first, got...); !errors.Is(err, ErrLost) || !slices.Equal(got, []byte{0, 1, 2}) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		c.Close()
		_ = w.Close()
		n.lost(w.ID())
	}
	c, err := n.Call(t.Context(), "nobody", nil)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if got, err := read(c); !errors.Is(err, ErrLost) || len(got) > 0 {
		t.Errorf("nobody: %v, %v", got, err)
	}
	t.Logf("that nobody is there was known after %v", time.Since(began))
	c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	w := join(t, s.URL(), "g", work)
	see(t, n, w)
	if c, err = n.Call(ctx, w.ID(), nil); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := read(c); !errors.Is(err, context.Canceled) {
		t.Errorf("a canceled call: %v", err)
	}
	c.Close()
}

// A worker that has not said anything is waited for half as long as one that has.
func TestPatience(t *testing.T) {
	c := &Call{n: &Node{o: Options{Silence: time.Hour}}, heard: time.Now()}
	if got := c.patience(); got > 30*time.Minute || got < 20*time.Minute {
		t.Errorf("before the first word the call waits for %v", got)
	}
	c.take(aliveMessage, []byte{0})
	if got := c.patience(); got > time.Hour || got < 50*time.Minute || c.err != nil {
		t.Errorf("behind it the call waits for %v, %v", got, c.err)
	}
}

// Messages that are no parts of calls end nothing but what they are about.
func TestStrangeMessages(t *testing.T) {
	s := clustertest.Start(t, 1)
	w := join(t, s.URL(), "g", func(_ context.Context, request []byte, send func([]byte) error) {
		_ = send(append([]byte("got "), request...))
	})
	n := join(t, s.URL(), "g", nil)
	meet(t, n, 1)
	nc, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	part := func(i, n uint64) string { return string(binary.AppendUvarint(binary.AppendUvarint(nil, i), n)) }
	for i, m := range []string{"", "p", "pid", "pid ", "p1 " + part(0, 0), "p2 " + part(3, 3), "p3 " + part(0, 1<<40), "p4 " + part(0, 2), "p4 " + part(0, 2),
		"p5 " + part(0, 2), "p5 " + part(1, 3), "t6 ", "t7 \xff", "x8 ", "?9 ", "\x00"} {
		reply := fmt.Sprint("test.from.g.", n.ID(), ".c", i)
		if err := nc.PublishRequest("test.to.g."+w.ID(), reply, []byte(m)); err != nil {
			t.Fatal(err)
		}
		for _, to := range []string{"test.from.g." + n.ID() + ".x", "test.here.g", "test.here."} {
			_ = nc.Publish(to, []byte(m))
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	c, err := n.Call(t.Context(), w.ID(), []byte("it"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if f, err := c.Next(); string(f) != "got it" || err != nil {
		t.Errorf("%q, %v", f, err)
	}
	if _, err := c.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
