package main

import "math/rand/v2"

// cluster is replicas, NATS servers, and the clients that they have.
type cluster struct {
	clock
	costs
	all    []*replica
	random *rand.Rand // of choices among replicas

	messages, records, states *station

	result
}

// result is what came of a simulation.
type result struct {
	First, Took   []float64 // seconds of each turn to its first and its last token
	Spaces        []float64 // mean seconds between tokens, of each turn
	Began, Ended  int       // turns
	Refused       int       // turns for which all queues were full
	Tokens        int       // of answers
	Warm, Cold    int       // turns behind the first of a session that went where the state is, and others
	Away          int       // turns that another replica than the front computed
	Taken, Reread int       // of the cold ones: states taken from NATS, and conversations that were read anew
	Inside        float64   // turns that were under way, on average
	Seconds       float64   // that the figures are of

	Use struct{ Replicas, Messages, Records, States float64 } // share of the time in which each works
}

// newCluster makes replicas that have nothing to do.
func newCluster(c costs, replicas int) *cluster {
	s := &cluster{costs: c, random: rand.New(rand.NewPCG(16, 16))} // numbers that come again
	for range replicas {
		s.all = append(s.all, &replica{c: s, sent: map[*replica]int{}})
	}
	s.messages, s.records, s.states = newStation(&s.clock, c.NATS.Servers), newStation(&s.clock, 1), newStation(&s.clock, 1)
	n := float64(replicas)
	s.messages.always = n * (n - 1) / c.NATS.Beat * c.NATS.Message / float64(c.NATS.Servers)
	return s
}

// simulate plays sessions and returns what came of the turns that began from a time on until another. Before is the time in
// which queues fill.
func simulate(c costs, replicas int, sessions []session, from, until float64) *result {
	s := newCluster(c, replicas)
	s.after(0, s.beat)
	for i := range sessions {
		one := &sessions[i]
		s.after(one.Start, func() { s.ask(one, 0, nil, 0) })
	}
	s.run(from)
	s.result = result{}
	busy := s.busy()
	for _, st := range []*station{s.messages, s.records, s.states} {
		st.busy = 0
	}
	s.run(until)
	s.Seconds = until - from
	s.Inside /= s.Seconds
	s.Use.Replicas = (s.busy() - busy) / s.Seconds / float64(replicas)
	s.Use.Messages, s.Use.Records, s.Use.States = s.messages.use(s.Seconds), s.records.use(s.Seconds), s.states.use(s.Seconds)
	return &s.result
}

// busy is how long all replicas have worked.
func (s *cluster) busy() (seconds float64) {
	for _, r := range s.all {
		seconds += r.busy
	}
	return seconds
}

// beat has the replicas tell of their loads, again and again.
func (s *cluster) beat() {
	for _, r := range s.all {
		r.told = r.has()
		clear(r.sent)
	}
	s.after(s.NATS.Beat, s.beat)
}

// ask has a client send a turn of a session. The holder has the state of the conversation so far, which is in NATS from
// a time on.
func (s *cluster) ask(one *session, number int, holder *replica, kept float64) {
	x := &call{s: one, number: number, asked: s.now, holder: holder, kept: kept}
	x.front = s.all[x.turn().Front%len(s.all)]
	s.Began++
	away := s.choose(x)
	cost := s.Own.Request
	if away {
		cost = s.Caller.Request
	}
	wait := x.front.host(cost)
	if away {
		s.Away++
		x.front.sent[x.at]++
		wait += s.NATS.Hop + s.messages.serve(2*s.NATS.Message) + x.at.host(s.Worker.Request)
	}
	x.left = x.turn().New
	if holder != nil && holder != x.at { // the new replica takes the state, or reads all
		if s.now >= kept {
			s.Taken++
			wait += s.NATS.Hop + s.messages.serve(s.NATS.State) + x.at.host(s.Take)
		} else {
			s.Reread++
			x.left = x.turn().All
		}
	}
	s.after(wait, func() {
		if len(x.at.waiting) >= s.Queue {
			s.refuse(x)
			return
		}
		x.at.waiting = append(x.at.waiting, x)
		x.at.begin()
	})
}

// choose sets where a turn is computed, and reports whether that is another replica than its front.
func (s *cluster) choose(x *call) (away bool) {
	if h := x.holder; h != nil {
		if s.seen(x.front, h) < s.Sequences {
			s.Warm++
			x.at = h
			return x.at != x.front
		}
		s.Cold++
	}
	x.at = x.front // of equals; behind it the one that comes first
	least := x.front.has()
	compare := func(r *replica) {
		if has := s.seen(x.front, r); has < least {
			x.at, least = r, has
		}
	}
	left := s.Choices
	if left == 0 || left >= len(s.all)-1 {
		for _, r := range s.all {
			compare(r)
		}
	} else {
		for _, i := range s.random.Perm(len(s.all)) {
			if r := s.all[i]; r != x.front && left > 0 {
				compare(r)
				left--
			}
		}
	}
	if own := x.front.has(); own < s.Sequences && float64(own) <= float64(least)+slack*float64(s.Sequences) {
		x.at = x.front
	}
	return x.at != x.front
}

// slack is how much more of its sequences than others a front may use before it has another one compute.
const slack = 1.0 / 8

// seen is how many requests a front believes that a replica has: its own number, and else what the replica told last with
// the calls that the front itself has sent it since. Calls of other fronts it does not know of.
func (s *cluster) seen(front, r *replica) int {
	if front == r {
		return r.has()
	}
	return r.told + front.sent[r]
}

// refuse counts a turn whose queue is full. Its client gives up.
func (s *cluster) refuse(x *call) { s.Refused++ }

// told counts tokens of an answer that were drawn, and the way of the first of them to the client.
func (s *cluster) told(x *call, tokens int) {
	wait := 0.0
	if x.at != x.front {
		wait = s.NATS.Hop + s.messages.serve(s.NATS.Message) + x.front.host(float64(tokens)*s.Caller.Token)
	}
	s.Tokens += tokens
	if x.first == 0 {
		x.first = s.now + wait
	}
}

// done ends an answer. Its record is written before the client hears of the end, and its state after it.
func (s *cluster) done(x *call) {
	keep := x.at.host(s.Keep)
	wait := keep + s.records.serve(s.NATS.Record)
	if x.at != x.front {
		wait += s.NATS.Hop
	}
	kept := s.now + wait + s.states.serve(s.NATS.State+s.NATS.Byte*float64(s.NATS.Bytes))
	s.after(wait, func() {
		s.Ended++
		s.First, s.Took = append(s.First, x.first-x.asked), append(s.Took, s.now-x.asked)
		s.Spaces = append(s.Spaces, (s.now-x.first)/float64(max(x.turn().Answer-1, 1)))
		s.Inside += s.now - x.asked
		if next := x.number + 1; next < len(x.s.Turns) {
			s.after(x.s.Turns[next].Think, func() { s.ask(x.s, next, x.at, kept) })
		}
	})
}
