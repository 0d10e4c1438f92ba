package clustertest

import (
	"net"
	"sync"
	"testing"
)

// Link is a way to a server that can be cut.
type Link struct {
	l net.Listener

	mu      sync.Mutex
	to      string
	moved   sync.Cond
	stalled bool
	cut     bool
	all     map[net.Conn]bool // connections of both sides
}

// NewLink returns a link to HOST:PORT, which ends with the test.
func NewLink(t testing.TB, to string) *Link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &Link{to: to, l: l, all: map[net.Conn]bool{}}
	k.moved.L = &k.mu
	var work sync.WaitGroup
	work.Add(1)
	go func() {
		defer work.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			work.Add(1)
			go func() {
				defer work.Done()
				k.carry(c)
			}()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		k.Cut()
		work.Wait()
	})
	return k
}

// URL returns where the server is reached by the link, if it is one of NATS.
func (k *Link) URL() string { return "nats://" + k.Addr() }

// Addr returns HOST:PORT of the link.
func (k *Link) Addr() string { return k.l.Addr().String() }

// Lead has connections that begin from now on lead to another HOST:PORT.
func (k *Link) Lead(to string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.to = to
}

// Cut ends all connections, and lets none begin.
func (k *Link) Cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cut, k.stalled = true, false
	for c := range k.all {
		_ = c.Close() // its carrier ends by that
	}
	k.moved.Broadcast()
}

// Stall lets connections stand, and carries nothing until Heal, which carries what waits.
func (k *Link) Stall() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stalled = true
}

// Heal undoes Cut and Stall.
func (k *Link) Heal() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cut, k.stalled = false, false
	k.moved.Broadcast()
}

// holds notes a connection, unless the link is cut.
func (k *Link) holds(c net.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.cut {
		k.all[c] = true
	}
	return !k.cut
}

// carry carries a connection to the server.
func (k *Link) carry(c net.Conn) {
	defer c.Close()
	if !k.holds(c) {
		return
	}
	k.mu.Lock()
	to := k.to
	k.mu.Unlock()
	s, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer s.Close()
	if k.holds(s) {
		var back sync.WaitGroup
		back.Add(1)
		go func() {
			defer back.Done()
			k.pump(c, s)
		}()
		k.pump(s, c)
		back.Wait()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.all, c)
	delete(k.all, s)
}

// pump carries bytes in one direction until either side ends, and ends both.
func (k *Link) pump(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		k.mu.Lock()
		for k.stalled {
			k.moved.Wait()
		}
		k.mu.Unlock()
		if n > 0 {
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
