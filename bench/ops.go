package bench

import (
	"fmt"
	"regexp"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
)

// layerPrefix matches the part of an op's name in which two layers differ.
var layerPrefix = regexp.MustCompile(`^blocks\.\d+\.`)

// opGroup is the ops of one name.
type opGroup struct {
	name  string
	count int
	cost  cost
	us    []float64 // by repetition
}

// ops times the ops of a decode step, and of the first pass of the longest prefill, for every batch.
func (r *runner) ops() error {
	for _, batch := range r.o.Batches {
		for _, n := range [...]int{r.passTokens(batch), 1} {
			if n == 0 || n == 1 && len(r.o.TG) == 0 {
				continue
			}
			if err := r.opsOf(n, batch); err != nil {
				return err
			}
		}
	}
	return nil
}

// passTokens returns the tokens to each sequence in the prefill whose ops are timed, 0 for none.
func (r *runner) passTokens(batch int) int {
	longest := 0
	for _, n := range r.o.PP {
		longest = max(longest, n)
	}
	if n := min(longest, r.e.Chunk()/batch); n > 1 {
		return n
	}
	return 0
}

func (r *runner) opsOf(tokens, batch int) error {
	test := "tg1"
	if tokens > 1 {
		test = fmt.Sprintf("pp%d", tokens)
	}
	groups, index := r.groups(batchSize{rows: tokens * batch, seqs: batch, outs: batch})
	seqs, err := r.fork(r.bases[0], batch)
	if err != nil {
		return err
	}
	defer release(seqs)
	for run := range 1 + r.o.Repeat {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		r.tell(fmt.Sprintf("timing ops of %s, batch %d", test, batch), int64(run), int64(1+r.o.Repeat))
		ids := r.random(batch*tokens, run)
		r.rows = r.rows[:0]
		for i, s := range seqs {
			r.rows = append(r.rows, engine.Row{Seq: s, Tokens: ids[i*tokens:][:tokens], Want: engine.WantLogits, Each: r.take})
		}
		times, err := r.e.PassTimes(r.rows)
		if err != nil {
			return err
		}
		if run == 0 { // warm-up
			continue
		}
		for _, g := range groups {
			g.us = append(g.us, 0)
		}
		for i, t := range times {
			g := groups[index[i]]
			g.us[len(g.us)-1] += t.Seconds() * 1e6
		}
	}
	r.report.Ops = append(r.report.Ops, r.opTimes(test, batch, groups)...)
	return nil
}

// groups returns the program's ops by name, in their first order, and the index of each step's group.
func (r *runner) groups(s batchSize) (groups []*opGroup, index []int) {
	at := map[string]int{}
	for _, step := range r.e.Model.Program.Steps {
		name := layerPrefix.ReplaceAllString(step.Name, "")
		i, ok := at[name]
		if !ok {
			i = len(groups)
			at[name], groups = i, append(groups, &opGroup{name: name})
		}
		groups[i].count++
		groups[i].cost.add(costOf(step.Op, s))
		index = append(index, i)
	}
	return groups, index
}

func (r *runner) opTimes(test string, batch int, groups []*opGroup) []OpTime {
	var list []OpTime
	var all float64
	for _, g := range groups {
		x := OpTime{Test: test, Batch: batch, Op: g.name, Count: g.count, US: median(g.us)}
		all += x.US
		if x.US > 0 {
			x.GBPerS, x.GFLOPS = (g.cost.weights+g.cost.moved)/x.US/1e3, g.cost.flops/x.US/1e3
		}
		list = append(list, x)
	}
	for i := range list {
		if all > 0 {
			list[i].Share = list[i].US / all
		}
	}
	return list
}
