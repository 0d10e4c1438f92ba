package replicas

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/cluster"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// Local is the model of this process.
type Local interface {
	api.Model
	// Load tells how many requests wait and how many are in work.
	Load() (waiting, working int)
	// Knows reports whether the state of a user after exactly the ids is in memory.
	Knows(user string, ids []int) bool
	// Learn has the state known that Run.Kept of another replica was told of. Without a state the ids are read.
	Learn(ctx context.Context, user string, ids []int, state []float32) error
}

// Store is what replicas keep together: package cluster/store.
type Store interface {
	Get(ctx context.Context, key string) (value []byte, version uint64, err error)
	Put(ctx context.Context, key string, value []byte, version uint64) (uint64, error)
	PutState(ctx context.Context, name string, state []byte) error
	State(ctx context.Context, name string) ([]byte, error)
}

// Portable is a constraint or a gate that another process can make again.
type Portable interface {
	// Recipe returns what it is made from, as it was before the first token; nil if that cannot be told.
	Recipe() []byte
}

// Options say how replicas work together.
type Options struct {
	// Constraint and Gate make again what a Recipe tells of. Without them, requests with such things stay in their
	// process.
	Constraint func(recipe []byte) (sample.Constraint, error)
	Gate       func(recipe []byte) (text.Gate, error)
	Log        *slog.Logger // nil for no log
}

// Model is the model of all replicas of a group. But for Start its methods are those of this process.
type Model struct {
	Local
	node  *cluster.Node
	store Store
	o     Options
	warm  *recent[string] // which replica holds the state behind a text, by its key
	mine  *recent[string] // the ids of the records that this replica wrote, took over or holds for others, by their keys
	met   *recent[int]    // how many conversations began here with an anchor, up to a number, by its key
	save  chan saving
	late  chan writing
	stop  context.CancelFunc
	work  sync.WaitGroup

	patience                          time.Duration // with a store that does not answer, and with links that are cut
	leaving                           atomic.Bool
	unkeeping                         atomic.Bool // reports whether the store did not take what it was given last
	here, away, resumed, warmed, cold atomic.Int64
	unkept, saved, learnt, read       atomic.Int64
	waited                            atomic.Int64 // of answers that went on in another run, in ns
	queued                            atomic.Int64 // bytes of states and records that wait to be written
	complained                        atomic.Int64 // when the log was told last that nothing can be kept
	behind                            atomic.Bool  // reports whether records wait that the store has not taken
	since                             atomic.Int64 // since when the store has not answered; 0: it does
	lone                              atomic.Int64 // since when neither the store nor a replica has taken a record; 0: one does
	silent                            atomic.Int64 // until when the store is not asked, since it does not answer
}

// Group returns the name of the replicas that may take over each other's work, for cluster.Options.Group: identity is
// what their numbers depend on.
func Group(identity string) string {
	sum := sha256.Sum256([]byte("rwkv-gpu replicas 1\n" + identity))
	return hex.EncodeToString(sum[:12])
}

// New has this process work with the replicas of a node, which it serves from then on.
func New(l Local, n *cluster.Node, s Store, o Options) (*Model, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &Model{Local: l, node: n, store: s, o: o, warm: newRecent[string](1 << 16), mine: newRecent[string](mostMine),
		met: newRecent[int](mostMet), save: make(chan saving, 1<<12), late: make(chan writing, 1<<16), patience: patience, stop: cancel}
	m.lone.Store(1) // a replica that has never reached others waits for none
	if err := n.Serve(m.load, m.serveOther, m.reply); err != nil {
		cancel()
		return nil, err
	}
	for _, work := range []func(context.Context){m.saveAll, m.writeAll} {
		m.work.Add(1)
		go func() {
			defer m.work.Done()
			work(ctx)
		}()
	}
	return m, nil
}

// load tells of this replica.
func (m *Model) load() cluster.Load {
	waiting, working := m.Load()
	i := m.Info()
	return cluster.Load{Model: i.Name, Working: working, Waiting: waiting, Slots: i.Sequences, Leaving: m.leaving.Load() || m.Health() != nil}
}

// Leave has this replica take no more work of others.
func (m *Model) Leave() {
	m.leaving.Store(true)
	m.node.Leave()
}

// Close ends the work with other replicas. Records and states that are not in the store yet are written until ctx is
// done. A store that does not take them is not waited for.
func (m *Model) Close(ctx context.Context) error {
	m.Leave()
	for began := time.Now(); m.queued.Load() > 0 && ctx.Err() == nil && m.node.Connected() &&
		(m.keeping() || time.Since(began) < putTime); {
		time.Sleep(5 * time.Millisecond)
	}
	m.stop()
	m.work.Wait()
	return m.node.Close()
}

// Alone reports whether this replica has no others to work with.
func (m *Model) Alone() bool { return len(m.node.Peers()) == 0 }

// Start begins requests, here or in another replica.
func (m *Model) Start(ctx context.Context, list []api.Request) ([]api.Stream, error) {
	request, err := m.encode(ctx, list)
	if errors.Is(err, errBound) {
		return m.startHere(ctx, list)
	}
	if err != nil {
		return nil, err
	}
	return m.begin(ctx, list, request)
}

// mostMine is how many texts a replica remembers that it knows.
const mostMine = 1 << 12

// startHere begins requests in this process.
func (m *Model) startHere(ctx context.Context, list []api.Request) ([]api.Stream, error) {
	m.here.Add(1)
	own := make([]api.Request, len(list))
	copy(own, list)
	m.prepare(ctx, own, placesOf(&own[0]))
	return m.Local.Start(ctx, own)
}

// prepare has requests whose prompt has these places begin with the states that other replicas hold, and others know of
// what is kept of them.
func (m *Model) prepare(ctx context.Context, list []api.Request, places []place) {
	first := &list[0]
	if first.State != nil || first.Cold { // of which nothing is kept by its text
		return
	}
	m.takeOverFor(ctx, first, places)
	for i := range list {
		user := list[i].User
		list[i].Kept = func(ids []int, state []float32) { m.keep(ownKey(places), user, ids, state) }
	}
}

// keeping reports whether the store is reached, and has taken what it was given last.
func (m *Model) keeping() bool { return m.node.Connected() && !m.unkeeping.Load() }

// Gauges is where figures are told that are asked for whenever somebody looks.
type Gauges interface {
	Gauge(name, help string, value func() float64)
	Counter(name, help string, value func() float64)
}

// Measure has the figures of the work together told.
func (m *Model) Measure(g Gauges) {
	gauge := func(name, help string, is func() bool) {
		g.Gauge(name, help, func() float64 {
			if is() {
				return 1
			}
			return 0
		})
	}
	gauge("cluster_connected", "1 where a server of the cluster is reached, else 0.", m.node.Connected)
	gauge("cluster_keeping", "1 where the cluster has taken the last record or state that it was given, else 0.", m.keeping)
	g.Gauge("cluster_replicas", "Replicas that work together, with this one.", func() float64 { return float64(len(m.node.Peers()) + 1) })
	g.Counter("cluster_resumed_seconds_total", "From the last token of a lost run to the first of the next, of all answers that went on.",
		func() float64 { return time.Duration(m.waited.Load()).Seconds() })
	for name, c := range map[string]struct {
		help string
		n    *atomic.Int64
	}{
		"here":    {"Calls for answers that this replica began itself.", &m.here},
		"away":    {"Calls for answers that it had another replica begin.", &m.away},
		"resumed": {"Answers that went on in another run, since one was lost.", &m.resumed},
		"warm":    {"Calls that went to the replica that answered the conversation before.", &m.warmed},
		"cold":    {"Calls of a conversation that was answered before, which went to another replica.", &m.cold},
		"unkept":  {"Records that could not be written at once.", &m.unkept},
		"saved":   {"States that were written to the store.", &m.saved},
		"learnt":  {"States that were taken over from the store.", &m.learnt},
		"read":    {"States of other replicas that were made by reading their ids.", &m.read},
	} {
		g.Counter("cluster_"+name+"_total", c.help, func() float64 { return float64(c.n.Load()) })
	}
}
