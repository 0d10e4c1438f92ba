package main

import (
	"math"
	"math/rand/v2"
)

// workload is what clients do.
type workload struct {
	Rate   float64 // new sessions a second
	Turns  float64 // of a session, on average: after each turn another one follows with the same chance
	Think  float64 // seconds from an answer to the next message, on average, exponential
	Prompt [2]int  // tokens of a message, from the first to the last number, evenly
	Answer [2]int  // tokens of an answer, the same
}

// session is a conversation of one client.
type session struct {
	Start float64 `json:"start"` // seconds from the beginning
	Turns []turn  `json:"turns"`
}

// turn is a message and its answer.
type turn struct {
	Think  float64 `json:"think"`  // seconds from the end of the answer before; 0 for the first one
	Front  int     `json:"front"`  // number of the replica that is asked, modulo their number
	New    int     `json:"new"`    // tokens of the prompt behind what a kept state has seen
	All    int     `json:"all"`    // tokens of the whole prompt
	Answer int     `json:"answer"` // tokens of the answer

	First float64 `json:"first,omitempty"` // measured: seconds to the first token
	Took  float64 `json:"took,omitempty"`  // measured: seconds to the last
	Lost  bool    `json:"lost,omitempty"`  // measured: no whole answer came
}

// sessions returns those that begin within a time. The same seed gives the same ones.
func (w *workload) sessions(seconds float64, seed uint64) (all []session) {
	r := rand.New(rand.NewPCG(seed, 16)) // numbers that a seed gives again
	within := func(from [2]int) int { return from[0] + r.IntN(from[1]-from[0]+1) }
	for at := r.ExpFloat64() / w.Rate; at < seconds; at += r.ExpFloat64() / w.Rate {
		s := session{Start: at}
		before := 0
		for more := true; more; more = r.Float64() >= 1/w.Turns {
			t := turn{Front: r.IntN(math.MaxInt32), New: within(w.Prompt), Answer: within(w.Answer)}
			if before > 0 {
				t.Think = r.ExpFloat64() * w.Think
			}
			t.All = before + t.New
			before = t.All + t.Answer
			s.Turns = append(s.Turns, t)
		}
		all = append(all, s)
	}
	return all
}
