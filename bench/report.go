package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"
)

// Report is the outcome of a run. Its JSON form is what `bench --json` writes and Read reads.
type Report struct {
	Device   string    `json:"device"`
	Driver   string    `json:"driver,omitempty"`
	Model    string    `json:"model"`
	Quant    string    `json:"quant"`
	Time     time.Time `json:"time"` // when the run began
	Chunk    int       `json:"chunk"`
	Exact    bool      `json:"exact,omitempty"` // see engine.Options
	Half     bool      `json:"half,omitempty"`  // the same
	Results  []Result  `json:"results"`
	First    []First   `json:"first,omitempty"`
	Roofline Roofline  `json:"limits"`
	Memory   Memory    `json:"memory"`
	Load     Load      `json:"load"`
	Ops      []OpTime  `json:"ops,omitempty"`
	Compare  []Change  `json:"compare,omitempty"`
}

// Result is one test.
type Result struct {
	Test  string `json:"test"`  // pp, tg or gen with the number of tokens to each sequence
	Batch int    `json:"batch"` // sequences at once
	Depth int    `json:"depth"` // tokens that each sequence had behind it
	Rates Rates  `json:"tokens_per_s"`

	GBPerS  float64 `json:"gb_per_s"` // weights read, each once in a pass
	GFLOPS  float64 `json:"gflops"`   // of matrix products and recurrences
	OfLimit float64 `json:"of_limit"` // GBPerS or GFLOPS as a share of the device's limit, whichever is the larger
	Bound   string  `json:"bound"`    // which it is: read or fma

	// For decoding; nil for a prefill. Host time is the time outside waiting for the device and drawing, the median of all
	// submissions. It is nil on the CPU too.
	HostUS *float64 `json:"host_us_per_token,omitempty"`
	Allocs *float64 `json:"allocs_per_token,omitempty"`

	// For drawn text: where tokens were drawn (device, host or both), and the time of a draw on the host.
	DrawnOn string   `json:"drawn_on,omitempty"`
	DrawUS  *float64 `json:"draw_us_per_token,omitempty"`

	CutUS *float64 `json:"cut_us_per_token,omitempty"` // of what goes from one of several devices to the next

	SubmissionMS *float64 `json:"longest_submission_ms,omitempty"` // nil on the CPU

	DeviceBytes int      `json:"device_bytes"`        // in buffers
	OtherCPU    *float64 `json:"other_cpu,omitempty"` // cores that other processes kept busy meanwhile; nil: not known
}

// Rates are figures of the repetitions of a test, in most places tokens per second over all sequences.
type Rates struct {
	Median  float64   `json:"median"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Samples []float64 `json:"samples"` // in the order of measuring
}

// Roofline is what the device does at best. It is measured before the tests, after them and, if there is memory for it,
// up to 4 times between. The median counts; of an even number, the better of the two in the middle.
type Roofline struct {
	ReadGBPerS float64 `json:"read_gb_per_s"`
	ReadBytes  int     `json:"read_bytes"` // that were streamed
	FMAGFLOPS  float64 `json:"fma_gflops"`
}

// Memory is the memory in use after the first repetition. Limits and ops, which take more, come later.
type Memory struct {
	DeviceBytes      int `json:"device_bytes"`                 // in buffers
	DeviceBlockBytes int `json:"device_block_bytes"`           // taken from the driver to hold them
	ProcessBytes     int `json:"process_bytes,omitempty"`      // resident, where the system tells
	ProcessPeakBytes int `json:"process_peak_bytes,omitempty"` // the most so far
}

// Load is what else the machine did.
type Load struct {
	Average  *float64 `json:"average,omitempty"`   // of the last minute before the run, in processes
	OtherCPU *float64 `json:"other_cpu,omitempty"` // the most cores that other processes kept busy during a test
	Cores    int      `json:"cores"`
	Busy     bool     `json:"busy"` // enough to distort the figures
}

// OpTime is the time that all ops of one name take in a pass.
type OpTime struct {
	Test    string  `json:"test"` // pp or tg with the tokens of the pass to each sequence
	Batch   int     `json:"batch"`
	Op      string  `json:"op"`       // without its layer
	Count   int     `json:"count"`    // in the program
	US      float64 `json:"us"`       // median
	Share   float64 `json:"share"`    // of all ops
	GBPerS  float64 `json:"gb_per_s"` // weights, activations and state
	GFLOPS  float64 `json:"gflops"`
	OfLimit float64 `json:"of_limit"`
}

// intensity is the operations done for each byte of weights.
func (r *Result) intensity() float64 { return r.GFLOPS / r.GBPerS }

// name returns a name that differs between tests.
func (r *Result) name() string { return fmt.Sprintf("%s batch %d depth %d", r.Test, r.Batch, r.Depth) }

// share sets every figure's share of its limit.
func (r *Report) share() {
	for i := range r.Results {
		x := &r.Results[i]
		x.OfLimit, x.Bound = r.Roofline.share(x.GBPerS, x.GFLOPS)
	}
	for i := range r.Ops {
		x := &r.Ops[i]
		x.OfLimit, _ = r.Roofline.share(x.GBPerS, x.GFLOPS)
	}
}

// share returns the share of its limit that something reaches, and which limit that is.
func (l Roofline) share(gbPerS, gflops float64) (float64, string) {
	read, fma := gbPerS/l.ReadGBPerS, gflops/l.FMAGFLOPS
	if read >= fma {
		return read, "read"
	}
	return fma, "fma"
}

// maxSamples bounds the repetitions of a test.
const maxSamples = 100

// Read reads a report's JSON form.
func Read(from io.Reader) (*Report, error) {
	var r Report
	d := json.NewDecoder(from)
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("want the JSON of bench --json: %w", err)
	}
	if len(r.Results) == 0 {
		return nil, fmt.Errorf("results: want the JSON of bench --json, got no results")
	}
	seen := map[string]bool{}
	for i := range r.Results {
		x := &r.Results[i]
		if seen[x.name()] {
			return nil, fmt.Errorf("results: %s: want each test once, got it twice", x.name())
		}
		seen[x.name()] = true
		if n := len(x.Rates.Samples); n == 0 || n > maxSamples {
			return nil, fmt.Errorf("results: %s: samples: want 1 to %d, got %d", x.name(), maxSamples, n)
		}
		for _, v := range append([]float64{x.Rates.Median, x.GBPerS, x.GFLOPS}, x.Rates.Samples...) {
			if !(v > 0) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("results: %s: want positive figures, got %v", x.name(), v)
			}
		}
	}
	for _, f := range r.First {
		for _, rates := range []*Rates{&f.Seconds, f.Peak} {
			if rates != nil && (!(rates.Median > 0) || math.IsInf(rates.Median, 0) || len(rates.Samples) == 0) {
				return nil, fmt.Errorf("first: %s: want positive figures, got %v of %d", f.Test, rates.Median, len(rates.Samples))
			}
		}
	}
	if !(r.Roofline.ReadGBPerS > 0) || !(r.Roofline.FMAGFLOPS > 0) {
		return nil, fmt.Errorf("limits: want positive figures, got %v and %v", r.Roofline.ReadGBPerS, r.Roofline.FMAGFLOPS)
	}
	return &r, nil
}
