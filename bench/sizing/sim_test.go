package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// bare are costs of replicas that have nothing but steps of one second for each thousand tokens, and no NATS.
func bare(sequences int) costs {
	return costs{Steps: []point{{1, 0.001}}, Reads: []point{{1, 1e-9}}, Share: 1, Sequences: sequences, Queue: math.MaxInt32,
		Chunk: 256, Latency: 0.25, NATS: nats{Servers: 1, Beat: 0.25}}
}

// arrivals are sessions of one turn each, whose answers have the tokens that a function says.
func arrivals(rate, seconds float64, seed uint64, tokens func(*rand.Rand) int) (all []session) {
	r := rand.New(rand.NewPCG(seed, 1))
	for at := 0.0; at < seconds; at += r.ExpFloat64() / rate {
		all = append(all, session{Start: at, Turns: []turn{{New: 1, All: 1, Answer: tokens(r), Front: r.IntN(1 << 20)}}})
	}
	return all
}

func mean(list []float64) float64 {
	sum := 0.0
	for _, v := range list {
		sum += v
	}
	return sum / float64(len(list))
}

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got/want-1) <= within) {
		t.Errorf("%s: got %.4g, want %.4g within %.0f %%", what, got, want, 100*within)
	}
}

// One sequence at a time with answers of one length is M/D/1: the mean time is 1/mu + rho/(2 mu (1-rho)) (Pollaczek and
// Khinchine).
func TestMD1(t *testing.T) {
	for _, rho := range []float64{0.3, 0.6, 0.8} {
		const service, seconds = 0.03, 1500
		r := simulate(bare(1), 1, arrivals(rho/service, seconds, 1, func(*rand.Rand) int { return 31 }), 0, seconds+10) // the first of them comes of reading
		near(t, "mean time of M/D/1", mean(r.Took), service+rho*service/(2*(1-rho)), 0.05)
		near(t, "use", r.Use.Replicas, rho*seconds/(seconds+10), 0.02)
	}
}

// exponential is an exponential length in tokens of a thousandth of a second, with a mean.
func exponential(mean float64) func(*rand.Rand) int {
	return func(r *rand.Rand) int { return 2 + int(r.ExpFloat64()*mean) }
}

// One sequence with exponential lengths is M/M/1: the mean time is 1/(mu - lambda).
func TestMM1(t *testing.T) {
	for _, rho := range []float64{0.3, 0.6, 0.8} {
		const service, seconds = 0.05, 6000
		r := simulate(bare(1), 1, arrivals(rho/service, seconds, 2, exponential(service*1000-0.5)), 0, seconds+20)
		near(t, "mean time of M/M/1", mean(r.Took), service/(1-rho), 0.06)
	}
}

// erlang is the chance that a job waits in M/M/c with a load of a servers (Erlang's formula C).
func erlang(c int, a float64) float64 {
	term, sum := 1.0, 0.0
	for k := range c {
		sum += term
		term *= a / float64(k+1)
	}
	term *= float64(c) / (float64(c) - a)
	return term / (sum + term)
}

// Several sequences whose steps take as long as one are M/M/c: the mean wait is C(c, a)/(c mu - lambda).
func TestMMc(t *testing.T) {
	for _, c := range []int{2, 8} {
		const service, rho = 2.0, 0.75 // long, since who finds a free sequence waits until the round is over
		b := bare(c)
		lambda := rho * float64(c) / service
		r := simulate(b, 1, arrivals(lambda, 30000/float64(c), 3, exponential(service*1000-0.5)), 0, 30000)
		near(t, "mean time of M/M/c", mean(r.Took), service+erlang(c, rho*float64(c))/(float64(c)/service-lambda), 0.06)
	}
}

// A station is M/M/c too, with any number of servers, and a share of it that is taken makes it slower by that.
func TestStation(t *testing.T) {
	for _, c := range []int{1, 3, 6} {
		for _, always := range []float64{0, 0.4} {
			const service, rho, seconds = 1.0, 0.6, 60000
			k := &clock{}
			s := newStation(k, c)
			s.always = always
			random := rand.New(rand.NewPCG(4, 4))
			lambda := rho * (1 - always) * float64(c) / service
			var times []float64
			for at := 0.0; at < seconds; at += random.ExpFloat64() / lambda {
				k.after(at, func() { times = append(times, s.serve(random.ExpFloat64()*service)) })
			}
			k.run(math.Inf(1))
			slowed := service / (1 - always)
			near(t, "mean time of a station", mean(times), slowed+erlang(c, rho*float64(c))/(float64(c)/slowed-lambda), 0.06)
			near(t, "use of a station", s.use(seconds), always+rho*(1-always), 0.03)
		}
	}
}

// Turns under way on average are arrivals a second by the mean time (Little), each token of an answer is drawn once, and
// nothing is lost, whatever the costs.
func TestLittle(t *testing.T) {
	for seed := range uint64(6) {
		random := rand.New(rand.NewPCG(seed, 5))
		c := someCosts()
		c.OneCore, c.Sequences = seed%2 == 0, 1+random.IntN(12)
		w := workload{Rate: 1 + random.Float64()*2, Turns: 3, Think: 2, Prompt: [2]int{5, 60}, Answer: [2]int{1, 80}}
		sessions := w.sessions(300, seed)
		r := simulate(c, 1+random.IntN(5), sessions, 0, 4000)
		turns, tokens := 0, 0
		for _, s := range sessions {
			for _, one := range s.Turns {
				turns, tokens = turns+1, tokens+one.Answer
			}
		}
		if r.Began != turns || r.Ended != turns || r.Refused != 0 || r.Tokens != tokens {
			t.Errorf("%d turns with %d tokens: began %d, ended %d, refused %d, drawn %d", turns, tokens, r.Began, r.Ended, r.Refused, r.Tokens)
		}
		near(t, "turns under way", r.Inside, float64(turns)/r.Seconds*mean(r.Took), 1e-9)
		for i := range r.First {
			if !(r.First[i] > 0 && r.First[i] <= r.Took[i]) {
				t.Fatalf("the first token after %v s, the last after %v s", r.First[i], r.Took[i])
			}
		}
	}
}

// someCosts are costs as of a small model on one core.
func someCosts() costs {
	return costs{Steps: []point{{1, 0.001}, {8, 0.004}, {16, 0.007}}, Reads: []point{{1, 0.001}, {64, 0.01}, {256, 0.035}}, Share: 0.5,
		OneCore: true, Own: work{0.001, 0.0001}, Caller: work{0.001, 0.0001}, Worker: work{0.001, 0.0001}, Keep: 0.002, Take: 0.002,
		NATS:      nats{Servers: 3, Message: 2e-6, Record: 2e-4, State: 1e-3, Byte: 5e-10, Bytes: 2 << 20, Hop: 2e-4, Beat: 0.25},
		Sequences: 16, Queue: 256, Chunk: 256, Latency: 0.25}
}

// Where NATS costs nothing and fronts compare two replicas, ten times the replicas with ten times the clients are about as
// fast. Where fronts compare all, the same few get what all of them send until these tell of their loads.
func TestScale(t *testing.T) {
	c := someCosts()
	c.NATS.Message, c.NATS.Record, c.NATS.State, c.NATS.Byte = 0, 0, 0, 0
	late := func(replicas, choices int) float64 {
		c.Choices = choices
		w := workload{Rate: 3.6 * float64(replicas), Turns: 3, Think: 2, Prompt: [2]int{5, 60}, Answer: [2]int{1, 80}}
		return quantile(simulate(c, replicas, w.sessions(60, 7), 20, 60).First, 0.95)
	}
	ten, hundred, herd := late(10, 2), late(100, 2), late(100, 0)
	if hundred > 1.3*ten || herd < 1.3*hundred {
		t.Errorf("95 of 100 first tokens: within %.3f s with 10 replicas, %.3f s with 100, %.3f s where all are compared", ten, hundred, herd)
	}
	c = someCosts()
	for n, want := range map[int]float64{10: 10 * 9 * 4 * 2e-6 / 3, 100: 100 * 99 * 4 * 2e-6 / 3} {
		near(t, "words about loads", newCluster(c, n).messages.always, want, 1e-9)
	}
}

// The same seed gives the same result, and another seed another.
func TestSeed(t *testing.T) {
	w := workload{Rate: 3, Turns: 3, Think: 2, Prompt: [2]int{5, 60}, Answer: [2]int{1, 80}}
	a, b, c := simulate(someCosts(), 3, w.sessions(50, 1), 0, 60), simulate(someCosts(), 3, w.sessions(50, 1), 0, 60),
		simulate(someCosts(), 3, w.sessions(50, 2), 0, 60)
	if !slices.Equal(a.Took, b.Took) || slices.Equal(a.Took, c.Took) {
		t.Error("want the same times from the same seed, and others from another")
	}
}
