package main

import (
	"fmt"
	"io"
	"slices"
)

// figures are what a trace or its simulation come to.
type figures struct {
	Turns  int
	Speed  float64 // tokens of answers a second, from the first question to the last answer
	First  float64 // mean seconds to the first token
	Took   float64 // mean seconds to the last
	Median float64 // of those to the last
}

// measured sums up a trace. Turns whose answers were lost do not count.
func (t *trace) measured() (f figures) {
	tokens, last := 0, 0.0
	var took []float64
	for _, s := range t.Sessions {
		at := s.Start
		for _, one := range s.Turns {
			if one.Lost {
				continue
			}
			at += one.Think + one.Took
			f.First += one.First
			f.Took += one.Took
			took = append(took, one.Took)
			tokens += one.Answer
		}
		last = max(last, at)
	}
	f.Turns = len(took)
	n := float64(max(f.Turns, 1))
	f.First, f.Took, f.Speed = f.First/n, f.Took/n, float64(tokens)/(last-t.Sessions[0].Start)
	f.Median = quantile(took, 0.5)
	return f
}

// simulated plays a trace through the simulation and sums that up.
func (t *trace) simulated(c costs) (f figures) {
	s := newCluster(c, t.Replicas)
	for i := range t.Sessions {
		one := t.Sessions[i]
		one.Turns = slices.DeleteFunc(slices.Clone(one.Turns), func(one turn) bool { return one.Lost })
		if len(one.Turns) > 0 {
			s.after(one.Start, func() { s.ask(&one, 0, nil, 0) })
		}
	}
	last := 0.0
	s.after(0, s.beat)
	for ended := -1; len(s.events) > 1; { // the last one is that of words about loads
		s.run(s.events[0].at)
		if s.Ended > ended {
			ended, last = s.Ended, s.now
		}
	}
	n := float64(max(s.Ended, 1))
	for i := range s.Took {
		f.First += s.First[i] / n
		f.Took += s.Took[i] / n
	}
	f.Turns, f.Speed, f.Median = s.Ended, float64(s.Tokens)/(last-t.Sessions[0].Start), quantile(s.Took, 0.5)
	return f
}

// quantile returns the least number that a share of all does not exceed, 0 for none.
func quantile(list []float64, share float64) float64 {
	if len(list) == 0 {
		return 0
	}
	list = slices.Sorted(slices.Values(list))
	return list[min(int(share*float64(len(list))), len(list)-1)]
}

// compare writes both, and their ratio.
func compare(w io.Writer, measured, simulated figures) error {
	_, err := fmt.Fprintf(w, "%-28s %10s %10s %7s\n", "", "measured", "simulated", "ratio")
	for _, row := range []struct {
		name string
		m, s float64
	}{
		{"turns", float64(measured.Turns), float64(simulated.Turns)},
		{"tokens/s", measured.Speed, simulated.Speed},
		{"mean s to the first token", measured.First, simulated.First},
		{"mean s to the last token", measured.Took, simulated.Took},
		{"median s to the last token", measured.Median, simulated.Median},
	} {
		if err == nil {
			_, err = fmt.Fprintf(w, "%-28s %10.4g %10.4g %7.3f\n", row.name, row.m, row.s, row.s/row.m)
		}
	}
	return err
}
