package bench

import "fmt"

// Change compares a test with the same test of an older run.
type Change struct {
	Test    string  `json:"test"`
	Batch   int     `json:"batch"`
	Depth   int     `json:"depth"`
	Old     float64 `json:"old"` // median tokens per second
	New     float64 `json:"new"`
	Ratio   float64 `json:"ratio"` // New / Old
	P       float64 `json:"p"`     // probability of as large a difference by chance; see significant
	Verdict string  `json:"verdict"`
}

// Verdicts of a Change.
const (
	Faster = "faster"
	Slower = "slower"
	Same   = "same"   // no significant difference
	Unsure = "unsure" // too few samples for any difference to be significant
)

// significant is the p below which a difference counts.
const significant = 0.05

// CompareWith sets r.Compare: every test that both runs have, by the Mann-Whitney test on their samples. It returns
// what else differs between the runs. With such a difference the ratios say less.
func (r *Report) CompareWith(old *Report) (differences []string, err error) {
	was := map[string]*Result{}
	for i := range old.Results {
		was[old.Results[i].name()] = &old.Results[i]
	}
	r.Compare = nil
	for i := range r.Results {
		now := &r.Results[i]
		if before := was[now.name()]; before != nil {
			r.Compare = append(r.Compare, change(before, now))
		}
	}
	if len(r.Compare) == 0 {
		return nil, fmt.Errorf("want a run with a test of this one (such as %s), got none", r.Results[0].name())
	}
	for _, f := range []struct{ what, now, before string }{
		{"device", r.Device, old.Device}, {"driver", r.Driver, old.Driver}, {"model", r.Model, old.Model}, {"quant", r.Quant, old.Quant},
	} {
		if f.now != f.before {
			differences = append(differences, fmt.Sprintf("%s: %q, was %q", f.what, f.now, f.before))
		}
	}
	return differences, nil
}

func change(before, now *Result) Change {
	c := Change{Test: now.Test, Batch: now.Batch, Depth: now.Depth, Old: before.Rates.Median, New: now.Rates.Median, Verdict: Same}
	c.Ratio = c.New / c.Old
	p, least := rankSum(now.Rates.Samples, before.Rates.Samples)
	c.P = p
	switch {
	case least >= significant:
		c.Verdict = Unsure
	case p < significant && c.Ratio > 1:
		c.Verdict = Faster
	case p < significant && c.Ratio < 1:
		c.Verdict = Slower
	}
	return c
}
