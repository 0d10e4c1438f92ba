package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

// Node is a replica in a cluster. Its methods may be called by any goroutine.
type Node struct {
	o  Options
	id string
	nc *nats.Conn

	mu    sync.Mutex
	peers map[string]*peer
	calls map[string]*Call
	runs  map[string]*run
	told  map[string]bool // of other groups, that the log has told of
	over  bool            // reports whether no more work begins

	load   func() Load
	handle Handler
	reply  func(question []byte) []byte
	stop   context.CancelFunc
	work   sync.WaitGroup
}

// Join has a replica join a cluster. Servers that are not reached are tried until Close: see Connected. The error is an
// *OptionError, or why servers that are reached do not let the replica in.
func Join(o Options) (*Node, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	n := &Node{o: o, id: nuid.Next(), peers: map[string]*peer{}, calls: map[string]*Call{}, runs: map[string]*run{}, told: map[string]bool{}}
	options := append(o.connection(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { n.o.Log.Warn("cluster", slog.Any("cause", err)) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				n.o.Log.Warn("cluster: no server is reached; this replica works alone", slog.Any("cause", err))
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			n.o.Log.Info("cluster: a server is reached again", slog.String("server", c.ConnectedServerName()))
		}))
	var err error
	for range firstTries { // a server that refuses a certificate may close the connection before it has said so
		if n.nc, err = nats.Connect(o.URL, options...); err == nil {
			return n, nil
		}
		if fatal(err) {
			return nil, fmt.Errorf("cluster: the servers do not let this replica in: %w", err)
		}
		if errors.Is(err, nats.ErrNoServers) {
			break
		}
	}
	o.Log.Warn("cluster: no server is reached; this replica works alone", slog.Any("cause", err))
	if n.nc, err = nats.Connect(o.URL, append(options, nats.RetryOnFailedConnect(true))...); err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	return n, nil
}

// firstTries is how often servers are tried that answer, and then close the connection, before a replica works alone.
const firstTries = 3

// ID returns the name of the replica in the cluster, which no other one has ever had.
func (n *Node) ID() string { return n.id }

// Connected reports whether a server is reached.
func (n *Node) Connected() bool { return n.nc.IsConnected() }

// Conn returns the connection.
func (n *Node) Conn() *nats.Conn { return n.nc }

// subject returns a subject of the cluster.
func (n *Node) subject(parts ...string) string {
	s := n.o.Name
	for _, p := range parts {
		s += "." + p
	}
	return s
}

// Serve has the replica tell of its load, work for others, and reply to what others Ask, at once. It is called once.
func (n *Node) Serve(load func() Load, h Handler, reply func(question []byte) []byte) error {
	ctx, cancel := context.WithCancel(context.Background())
	n.load, n.handle, n.reply, n.stop = load, h, reply, cancel
	for subject, take := range map[string]nats.MsgHandler{
		n.subject("here", "*"):                  n.hear,
		n.subject("all", n.o.Group):             n.asked,
		n.subject("to", n.o.Group, n.id):        func(m *nats.Msg) { n.take(ctx, m) },
		n.subject("from", n.o.Group, n.id, "*"): n.frame,
	} {
		s, err := n.nc.Subscribe(subject, take)
		if err == nil {
			err = s.SetPendingLimits(-1, 256<<20)
		}
		if err != nil {
			cancel()
			return fmt.Errorf("cluster: %w", err)
		}
	}
	n.work.Add(1)
	go func() {
		defer n.work.Done()
		n.beat(ctx)
	}()
	return nil
}

// do has work done beside, unless the replica leaves.
func (n *Node) do(work func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.over {
		return
	}
	n.work.Add(1)
	go func() {
		defer n.work.Done()
		work()
	}()
}

// Leave tells others that the replica takes no more work.
func (n *Node) Leave() { n.tell(true) }

// Close ends all that the replica does for others, and leaves the cluster.
func (n *Node) Close() error {
	if n.stop != nil {
		n.stop()
	}
	n.mu.Lock()
	n.over = true
	n.mu.Unlock()
	n.Leave()
	n.work.Wait()
	err := n.nc.FlushTimeout(time.Second)
	if errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrConnectionClosed) || !n.Connected() {
		err = nil // nobody is there to be told
	}
	n.nc.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.calls {
		c.lose(ErrLost)
	}
	return err
}
