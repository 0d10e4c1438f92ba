package bench

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// Versus compares this program with a peer on the same model, in processes that take turns.
type Versus struct {
	Ours   Side      `json:"ours"`
	Peer   Side      `json:"peer"`
	Model  string    `json:"model"`
	Time   time.Time `json:"time"` // when the run began
	Rounds int       `json:"rounds"`
	Rows   []Versed  `json:"results"`
	Load   Load      `json:"load"`
}

// Side is one of two programs.
type Side struct {
	Program string `json:"program"`
	Build   string `json:"build,omitempty"`
	Device  string `json:"device"`
	Threads int    `json:"threads"`
}

// Versed is a figure of both programs.
type Versed struct {
	Test  string `json:"test"` // as in Result and First
	Batch int    `json:"batch"`
	Unit  string `json:"unit"`           // tokens/s, of which more is better; or s, or bytes at the peak
	Ours  *Rates `json:"ours,omitempty"` // nil: the system does not tell
	Peer  *Rates `json:"peer,omitempty"`
	Ratio *Rates `json:"ratio,omitempty"` // of ours to the peer's, round by round
}

// The units.
const (
	perSecond = "tokens/s"
	inSeconds = "s"
	atPeak    = "bytes"
)

// measure names a figure.
type measure struct {
	test  string
	batch int
	unit  string
}

func rateOf(kind string, tokens, batch int) measure {
	return measure{fmt.Sprint(kind, tokens), batch, perSecond}
}

// VersusOptions say what to compare.
type VersusOptions struct {
	Options        // PP, TG, First, Batches, Repeat (the rounds) and Progress count
	Threads int    // of either program
	Version string // of this program
	Device  string // of this program, for whole processes, which do not name theirs

	// Bench returns this program's bench with the JSON of a single repetition, and Generate as for FirstTokens.
	Bench      func(pp, tg []int, batch int) (Program, error)
	Generate   func(tokens []int) (Program, error)
	Vocabulary int
}

// Against measures both programs o.Repeat times. In each round the programs take turns, test by test, and the one that
// begins alternates from round to round.
func (l *Llama) Against(ctx context.Context, o *VersusOptions) (*Versus, error) {
	v := &versing{l: l, o: o, samples: map[measure]*[2][]float64{}}
	v.report = Versus{Model: l.Model, Time: time.Now().UTC().Truncate(time.Second), Rounds: o.Repeat,
		Ours: Side{Program: "rwkv-gpu", Build: o.Version, Device: o.Device, Threads: o.Threads}, Peer: Side{Program: l.Path, Threads: l.Threads}}
	v.report.Load.Average, v.report.Load.Cores = loadAverage(), runtime.NumCPU()
	if len(o.First) == 0 && (!slices.Contains(o.Batches, 1) || len(o.PP)+len(o.TG) == 0) { // no test of llama-bench itself
		line, err := l.ask(ctx)
		if err != nil {
			return nil, err
		}
		v.report.Peer.describe(line)
	}
	turns := v.turns()
	all := int64(o.Repeat * len(turns))
	for round := range o.Repeat {
		for i, t := range turns {
			if o.Progress != nil {
				o.Progress("taking turns with the peer", int64(round*len(turns)+i), all)
			}
			if err := v.turn(ctx, t, round%2 == 1); err != nil {
				return nil, err
			}
		}
	}
	v.sum()
	return &v.report, nil
}

// versing is such a run.
type versing struct {
	l       *Llama
	o       *VersusOptions
	report  Versus
	order   []measure
	samples map[measure]*[2][]float64 // of ours and of the peer
}

// turn is a test of both programs. The first function is ours.
type turn [2]func(context.Context) (map[measure]float64, error)

// turns are the tests of a round: the speed with each batch, then whole processes with each prompt.
func (v *versing) turns() (list []turn) {
	for _, batch := range v.o.Batches {
		if len(v.o.PP)+len(v.o.TG) == 0 {
			break
		}
		v.orderRates(batch)
		list = append(list, turn{
			func(ctx context.Context) (map[measure]float64, error) { return v.ours(ctx, batch) },
			func(ctx context.Context) (map[measure]float64, error) { return v.peers(ctx, batch) },
		})
	}
	for _, n := range v.o.First {
		v.order = append(v.order, measure{firstName(n), 1, inSeconds}, measure{firstName(n), 1, atPeak})
		list = append(list, turn{
			func(ctx context.Context) (map[measure]float64, error) {
				p, err := v.o.Generate(promptOf(n, v.o.Vocabulary))
				if err != nil {
					return nil, err
				}
				run, err := p.run(ctx)
				return run.figures(n), err
			},
			func(ctx context.Context) (map[measure]float64, error) {
				run, line, err := v.l.first(ctx, n)
				if err != nil {
					return nil, err
				}
				v.report.Peer.describe(line)
				return run.figures(n), nil
			},
		})
	}
	return list
}

func (v *versing) orderRates(batch int) {
	for _, n := range v.o.PP {
		v.order = append(v.order, rateOf(prefill, n, batch))
	}
	for _, n := range v.o.TG {
		v.order = append(v.order, rateOf(decode, n, batch))
	}
}

// figures are those of a whole process. Memory that is not known is 0.
func (r processRun) figures(tokens int) map[measure]float64 {
	return map[measure]float64{
		{firstName(tokens), 1, inSeconds}: r.first.Seconds(),
		{firstName(tokens), 1, atPeak}:    float64(r.peak),
	}
}

// turn runs a test by both programs, the peer first or last.
func (v *versing) turn(ctx context.Context, t turn, peerFirst bool) error {
	sides := []int{0, 1}
	if peerFirst {
		slices.Reverse(sides)
	}
	for _, side := range sides {
		found, err := t[side](ctx)
		if err != nil {
			return err
		}
		for m, figure := range found {
			if v.samples[m] == nil {
				v.samples[m] = new([2][]float64)
			}
			v.samples[m][side] = append(v.samples[m][side], figure)
		}
	}
	return nil
}

// ours measures this program's speed.
func (v *versing) ours(ctx context.Context, batch int) (map[measure]float64, error) {
	p, err := v.o.Bench(v.o.PP, v.o.TG, batch)
	if err != nil {
		return nil, err
	}
	run, err := p.run(ctx)
	if err != nil {
		return nil, err
	}
	r, err := Read(bytes.NewReader(run.stdout))
	if err != nil {
		return nil, fmt.Errorf("a process of this program: %w", err)
	}
	v.report.Ours.Device = r.Device
	v.report.Load.note(r.Load.OtherCPU)
	found := map[measure]float64{}
	for i := range r.Results {
		if x := &r.Results[i]; x.Batch == batch {
			found[measure{x.Test, batch, perSecond}] = x.Rates.Median
		}
	}
	return found, v.complete(found, batch, "a process of this program")
}

// peers measures the peer's speed.
func (v *versing) peers(ctx context.Context, batch int) (map[measure]float64, error) {
	if batch > 1 {
		return v.l.batchRates(ctx, v.o.PP, v.o.TG, batch)
	}
	found, lines, err := v.l.rates(ctx, v.o.PP, v.o.TG)
	if err != nil {
		return nil, err
	}
	v.report.Peer.describe(&lines[0])
	return found, v.complete(found, batch, v.l.Path)
}

// describe says what a peer says of itself.
func (s *Side) describe(line *llamaLine) {
	if line.Commit != nil && line.Build != nil {
		s.Build = fmt.Sprintf("%s (%d)", *line.Commit, *line.Build)
	}
	if line.Backends != nil {
		s.Device = *line.Backends
	}
	if line.Layers != nil {
		s.Device += fmt.Sprintf(", %d layers on a device", *line.Layers)
	}
}

// complete returns an error if a program did not measure what it was asked for.
func (v *versing) complete(found map[measure]float64, batch int, who string) error {
	for _, m := range v.order {
		if _, ok := found[m]; m.batch == batch && m.unit == perSecond && !ok {
			return &PeerError{who, fmt.Errorf("want a test %s of %d sequences among its output, got none", m.test, batch)}
		}
	}
	return nil
}

// sum makes a row of each figure.
func (v *versing) sum() {
	for _, m := range v.order {
		row := Versed{Test: m.test, Batch: m.batch, Unit: m.unit}
		both := v.samples[m]
		for side, to := range []**Rates{&row.Ours, &row.Peer} {
			if slices.Min(both[side]) > 0 {
				rates := ratesOf(both[side])
				*to = &rates
			}
		}
		if row.Ours != nil && row.Peer != nil {
			ratios := make([]float64, len(both[0]))
			for i := range ratios {
				ratios[i] = both[0][i] / both[1][i]
			}
			ratio := ratesOf(ratios)
			row.Ratio = &ratio
		}
		v.report.Rows = append(v.report.Rows, row)
	}
}
