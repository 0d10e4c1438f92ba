package conform

import (
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/unfit"
)

// Result is what the cases say of one way to do an op.
type Result struct {
	Op     string  `json:"op"`
	Type   string  `json:"type,omitempty"` // of weights
	Form   string  `json:"form,omitempty"` // "" if the op has one
	Loads  string  `json:"loads,omitempty"`
	Cases  int     `json:"cases"`
	MaxAbs float64 `json:"max_abs"` // largest difference from the oracle; the largest number if a result is not finite
	NMSE   float64 `json:"nmse"`    // the worst case's normalised mean square error, likewise
	OK     bool    `json:"ok"`
	Fault  string  `json:"fault,omitempty"` // the first fault, and its case
}

// Report is what the cases say of a device.
type Report struct {
	Results []Result
	Loads   string   // the way to load that was judged, or to which the device was driven; "" on the CPU
	Lost    []string // ops for which no right form is left

	ways    []unfit.Way // that ran
	partial bool        // reports whether other executors have forms of products that did not run
}

// Judged reports whether a run judged what a list of unfit ways has, with its reason. A way to load and the device as a
// whole are judged by the work for which no form was left.
func (r *Report) Judged(way, why string) bool {
	return slices.ContainsFunc(r.ways, func(w unfit.Way) bool {
		if way != unfit.Whole && way != unfit.Loading(w.Loads) {
			return way == w.String()
		}
		return why == unfit.NoneLeft(w.What) && !r.partial && !slices.Contains(r.Lost, w.What)
	})
}

// OK reports whether every result is right.
func (r *Report) OK() bool {
	for i := range r.Results {
		if !r.Results[i].OK {
			return false
		}
	}
	return true
}

// table collects results, in the order in which their ways came first.
type table struct {
	list []Result
	at   map[Result]int // by what names a way
}

// of returns the row of a way.
func (t *table) of(name Result) *Result {
	if t.at == nil {
		t.at = map[Result]int{}
	}
	i, ok := t.at[name]
	if !ok {
		i = len(t.list)
		t.at[name] = i
		name.OK = true
		t.list = append(t.list, name)
	}
	return &t.list[i]
}

// add adds a case to the row of a way. fault is "" if all is right.
func (t *table) add(name Result, maxAbs, nmse float64, fault string) {
	r := t.of(name)
	r.Cases++
	r.MaxAbs, r.NMSE = max(r.MaxAbs, maxAbs), max(r.NMSE, nmse)
	if fault != "" && r.OK {
		r.OK, r.Fault = false, fault
	}
}
