package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Load is how much a replica has to do.
type Load struct {
	Model   string `json:"model"`   // what people call it
	Working int    `json:"working"` // requests in work
	Waiting int    `json:"waiting"` // requests that have not begun
	Slots   int    `json:"slots"`   // requests that may be in work at once
	Leaving bool   `json:"leaving"` // reports whether it takes no more
}

// Peer is another replica of the group.
type Peer struct {
	ID, Host string
	Load
	Sent int // calls to it that began since it told of its load
}

const (
	beatEvery  = 250 * time.Millisecond
	aliveBeats = 6 // without one of which a replica is not there
)

// word is what a replica tells of itself.
type word struct {
	ID   string `json:"id"`
	Host string `json:"host"`
	Load
}

// peer is a replica as it was heard of last.
type peer struct {
	word
	heard time.Time
	sent  int
}

// beat tells of the load until ctx is done.
func (n *Node) beat(ctx context.Context) {
	t := time.NewTicker(beatEvery)
	defer t.Stop()
	for {
		n.tell(false)
		n.forget(time.Now())
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (n *Node) tell(leaving bool) {
	if n.load == nil || !n.Connected() { // words of the past are of no use to anybody
		return
	}
	w := word{n.id, n.o.Host, n.load()}
	w.Leaving = w.Leaving || leaving
	data, err := json.Marshal(w)
	if err == nil {
		err = n.nc.Publish(n.subject("here", n.o.Group), data)
	}
	if err != nil {
		n.o.Log.Warn("cluster: telling of the load", slog.Any("cause", err))
	}
}

// hear takes the word of a replica.
func (n *Node) hear(m *nats.Msg) {
	var w word
	if json.Unmarshal(m.Data, &w) != nil || w.ID == "" || w.ID == n.id {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if group := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]; group != n.o.Group {
		if !n.told[w.ID] && len(n.told) < 1000 {
			n.told[w.ID] = true
			n.o.Log.Warn("cluster: a replica with another model, other weights or another device does not work with this one",
				slog.String("host", w.Host), slog.String("model", w.Model))
		}
		return
	}
	if n.peers[w.ID] == nil {
		n.o.Log.Info("cluster: a replica is there", slog.String("host", w.Host), slog.String("id", w.ID))
	}
	n.peers[w.ID] = &peer{word: w, heard: time.Now()}
}

// forget drops replicas that are not heard of any more.
func (n *Node) forget(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, p := range n.peers {
		if now.Sub(p.heard) > aliveBeats*beatEvery {
			delete(n.peers, id)
			n.o.Log.Warn("cluster: a replica is gone", slog.String("host", p.Host), slog.String("id", id))
		}
	}
}

// Peers returns the other replicas of the group that are there, by their names.
func (n *Node) Peers() []Peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := make([]Peer, 0, len(n.peers))
	for _, p := range n.peers {
		list = append(list, Peer{p.ID, p.Host, p.Load, p.sent})
	}
	slices.SortFunc(list, func(a, b Peer) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// lost forgets a replica until it is heard of again.
func (n *Node) lost(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.peers, id)
}
