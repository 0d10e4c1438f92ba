package replicas

import (
	"cmp"
	"context"
	"hash/fnv"
	"math/rand/v2"
	"slices"
)

// candidate is a replica that may take a request.
type candidate struct {
	id   string
	has  int // requests
	most int // that it works on at once
	own  bool
}

// share returns how much of what a replica can do it does.
func (c *candidate) share() float64 { return float64(c.has) / float64(max(c.most, 1)) }

func byShare(a, b candidate) int { return cmp.Compare(a.share(), b.share()) }

// candidates returns the replicas that take requests, those with the least to do first, without one that was lost.
func (m *Model) candidates(not string) (list []candidate) {
	if waiting, working := m.Load(); m.Health() == nil {
		list = append(list, candidate{m.node.ID(), waiting + working, m.Info().Sequences, true})
	}
	for _, p := range m.node.Peers() {
		if !p.Leaving && p.ID != not {
			list = append(list, candidate{p.ID, p.Waiting + p.Working + p.Sent, p.Slots, false})
		}
	}
	slices.SortStableFunc(list, byShare) // itself first of equals
	return list
}

// compared is how many others, taken at random, a replica compares with itself. All replicas hear the same loads at the
// same time: if each of many compared all others, all would choose the same few, which then had too much.
const compared = 2

// slack is how much larger a share than the least one a replica may have before a request that it is best for goes
// elsewhere. What is computed elsewhere costs frames, and words about loads are a quarter of a second old.
const slack = 1.0 / 8

// takes reports whether a replica has a sequence for a request, and little more to do than one with the least.
func (c *candidate) takes(least *candidate) bool {
	return c.has < c.most && c.share() <= least.share()+slack
}

// spread moves a replica to the front: itself, unless it has much more to do than others, else the one with the least to
// do of itself and some others, taken at random, of three the first. The list is sorted.
func spread(list []candidate) []candidate {
	at, left, own := len(list)-1, compared, -1
	for _, i := range rand.Perm(len(list)) {
		if c := &list[i]; c.own {
			at, own = min(at, i), i
		} else if left > 0 {
			at, left = min(at, i), left-1
		}
	}
	if own >= 0 && list[own].takes(&list[at]) {
		at = own
	}
	if at <= 0 {
		return list
	}
	return front(list, at)
}

// choose returns the replicas that may take a request, the one that is to be asked first at the front: the one that
// holds the conversation's state if it has a free sequence, else the one that is likely to hold its beginning if that is
// worth it and it has not much more to do than others, else this one or one with less to do (spread).
func (m *Model) choose(ctx context.Context, places []place) []candidate {
	list := m.candidates("")
	if len(list) < 2 {
		return list
	}
	if holder := m.holder(ctx, places); holder != "" {
		at := slices.IndexFunc(list, func(c candidate) bool { return c.id == holder })
		if at >= 0 && list[at].has < list[at].most {
			m.warmed.Add(1)
			return front(list, at)
		}
		m.cold.Add(1)
		return spread(list)
	}
	return m.newcomer(list, places)
}

// newcomer is choose for a conversation of which no state is known.
func (m *Model) newcomer(list []candidate, places []place) []candidate {
	for _, p := range slices.Backward(places) {
		if p.anchor && p.size >= longAnchor {
			if at := rendezvous(list, p.key); m.rare(p.key) && list[at].takes(&list[0]) {
				return front(list, at)
			}
			break
		}
	}
	return spread(list)
}

const (
	longAnchor = 2 << 10 // bytes of a beginning; a shorter one is read for less than the frames of an answer cost
	rareAnchor = 2       // how often a replica meets a beginning that others may hold alone
	mostMet    = 1 << 12 // beginnings that a replica counts
)

// rare notes that a conversation with a beginning is new here. It reports whether there were few of them. A beginning of
// many conversations is worth having in each replica: it is read once, and its state is small.
func (m *Model) rare(key string) bool {
	return m.met.update(key, func(n int) int { return min(n+1, rareAnchor+1) }) <= rareAnchor
}

// front moves the element at a place to the front.
func front(list []candidate, at int) []candidate {
	c := list[at]
	return slices.Insert(slices.Delete(list, at, at+1), 0, c)
}

// rendezvous returns the place of the replica that all replicas choose for a key, as long as it is there.
func rendezvous(list []candidate, key string) (at int) {
	var most uint64
	for i, c := range list {
		h := fnv.New64a()
		_, _ = h.Write([]byte(key + " " + c.id))
		if sum := h.Sum64(); sum >= most {
			at, most = i, sum
		}
	}
	return at
}

// holder returns the replica that answered the conversation last, "" if none is known.
func (m *Model) holder(ctx context.Context, places []place) string {
	looked := 0
	for i, p := range slices.Backward(places) {
		if p.anchor || p.answer == "" && i < len(places)-1 {
			continue
		}
		if id := m.warm.get(p.key); id != "" {
			return id
		}
		if p.answer == "" || looked == lookBack {
			continue
		}
		looked++
		if e, found := m.look(ctx, p.key, p.answer); found {
			m.warm.set(p.key, e.Replica)
			return e.Replica
		}
	}
	return ""
}
