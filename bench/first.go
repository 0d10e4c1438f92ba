package bench

import (
	"context"
	"fmt"
	"slices"
)

// First is what a whole process takes to its first token, from its start: the program, the device and the model are
// opened, a prompt is read, and a token is drawn.
type First struct {
	Test    string `json:"test"`    // first with the number of the prompt's tokens
	Seconds Rates  `json:"seconds"` // to the first byte on standard output
	Peak    *Rates `json:"peak_bytes,omitempty"`
}

// firstName is the name of the test of a whole process.
func firstName(tokens int) string { return fmt.Sprint("first", tokens) }

// MaxFirst is the most tokens of such a prompt. They are arguments of a program.
const MaxFirst = 1 << 14

// FirstTokens measures o.Warmup+o.Repeat processes for each of the lengths o.First, which take turns. start returns the
// program that continues some tokens by one. vocabulary is the number of the model's tokens. This process should have
// little in memory, since the system counts the memory of a process from the peak of the one that starts it.
func FirstTokens(ctx context.Context, start func(tokens []int) (Program, error), vocabulary int, o *Options) ([]First, error) {
	runs := make([][]processRun, len(o.First))
	all := int64((o.Warmup + o.Repeat) * len(o.First))
	for i := range all {
		which := int(i) % len(o.First)
		if o.Progress != nil {
			o.Progress("measuring whole processes", i, all)
		}
		p, err := start(promptOf(o.First[which], vocabulary))
		if err != nil {
			return nil, err
		}
		run, err := p.run(ctx)
		if err != nil {
			return nil, err
		}
		if int(i) >= o.Warmup*len(o.First) {
			runs[which] = append(runs[which], run)
		}
	}
	list := make([]First, len(o.First))
	for j, n := range o.First {
		list[j] = firstOf(firstName(n), runs[j])
	}
	return list, nil
}

// firstOf sums up the runs of a test. Its memory is not known if that of a run is not.
func firstOf(name string, runs []processRun) First {
	var seconds, peaks []float64
	for _, r := range runs {
		seconds, peaks = append(seconds, r.first.Seconds()), append(peaks, float64(r.peak))
	}
	f := First{Test: name, Seconds: ratesOf(seconds)}
	if slices.Min(peaks) > 0 {
		peak := ratesOf(peaks)
		f.Peak = &peak
	}
	return f
}

// promptOf returns n token ids of a vocabulary. None is 0, the end of a text.
func promptOf(n, vocabulary int) []int {
	ids := make([]int, n)
	for i := range ids {
		ids[i] = 1 + (i+i*i)%max(vocabulary-1, 1)
	}
	return ids
}

// firsts is the table of whole processes.
func (r *Report) firsts() *table {
	t := &table{title: "Whole processes, to their first token", head: []string{"test", "seconds", "min", "max", "peak memory", "min", "max"}}
	for _, f := range r.First {
		peak := []string{"-", "-", "-"}
		if p := f.Peak; p != nil {
			peak = []string{size(int(p.Median)), size(int(p.Min)), size(int(p.Max))}
		}
		t.add(append([]string{f.Test, number(f.Seconds.Median), number(f.Seconds.Min), number(f.Seconds.Max)}, peak...)...)
	}
	return t
}
