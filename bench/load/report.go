package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// report is what a run came to.
type report struct {
	Server   string            `json:"server"` // model and device, or the address
	Clients  int               `json:"clients"`
	Seconds  float64           `json:"seconds"`
	Asked    map[string]int    `json:"asked"` // requests by kind
	Whole    int               `json:"whole"` // answers that came to their end
	Left     int               `json:"left"`  // answers that the client left
	Errors   map[string]int    `json:"errors"`
	Example  map[string]string `json:"example,omitempty"` // of each error, the first
	First    times             `json:"first_piece_ms"`
	Gap      times             `json:"gap_ms"`
	Answer   times             `json:"answer_ms"` // of whole answers
	Speed    float64           `json:"tokens_per_s"`
	Drawn    float64           `json:"drawn_tokens"`
	Prompt   float64           `json:"prompt_tokens"`
	Cached   float64           `json:"cached_tokens"`
	Samples  []sample          `json:"samples"`
	Overload *overload         `json:"overload,omitempty"`
	Idle     float64           `json:"idle_after_s"` // from the last answer to an idle server
	Faults   []string          `json:"faults"`

	mu    sync.Mutex
	began time.Time
}

// overload is what came of more requests at once than a server takes.
type overload struct {
	Requests int     `json:"requests"`
	Refused  int     `json:"refused"` // answers of status 429
	Seconds  float64 `json:"seconds"` // until all were answered
	First    times   `json:"first_piece_ms"`
}

// times are how long something took, in milliseconds.
type times struct {
	N    int      `json:"n"`
	P50  float64  `json:"p50"`
	P90  float64  `json:"p90"`
	P99  float64  `json:"p99"`
	Max  float64  `json:"max"`
	Bars []bucket `json:"histogram"`
	all  []float64
}

// bucket counts the times below a bound that are not below the one before, half of it.
type bucket struct {
	Below float64 `json:"below"`
	N     int     `json:"n"`
}

func (t *times) add(d time.Duration) { t.all = append(t.all, d.Seconds()*1e3) }

// sum computes the figures of all that was added.
func (t *times) sum() {
	slices.Sort(t.all)
	t.N, t.Bars = len(t.all), []bucket{}
	if t.N == 0 {
		return
	}
	t.P50, t.P90, t.P99, t.Max = t.quantile(0.5), t.quantile(0.9), t.quantile(0.99), t.all[t.N-1]
	bound := math.Exp2(math.Floor(math.Log2(max(t.all[0], 1e-3))) + 1)
	for at := 0; at < t.N; bound *= 2 {
		n, _ := slices.BinarySearch(t.all, bound)
		t.Bars = append(t.Bars, bucket{bound, n - at})
		at = n
	}
}

// quantile returns the least time that a share of all times does not exceed.
func (t *times) quantile(share float64) float64 {
	return t.all[max(int(math.Ceil(share*float64(len(t.all))))-1, 0)]
}

func newReport(server string, clients int, began time.Time) *report {
	return &report{Server: server, Clients: clients, Asked: map[string]int{}, Errors: map[string]int{}, Example: map[string]string{}, Faults: []string{}, began: began}
}

// tell counts an outcome. It may be called by any goroutine.
func (r *report) tell(o *outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Asked[o.kind]++
	if o.first > 0 {
		r.First.add(o.first)
	}
	for _, gap := range o.gaps {
		r.Gap.add(gap)
	}
	switch {
	case o.left:
		r.Left++
	case o.err != nil:
		r.failed(kindOf(o), o.err)
	default:
		r.Whole++
		r.Answer.add(o.took)
	}
}

// kindOf names the kind of a failed request.
func kindOf(o *outcome) string {
	switch {
	case o.status == 0:
		return "no answer"
	case o.status != 200:
		return fmt.Sprintf("status %d", o.status)
	}
	return "broken stream"
}

// failed counts an error of a kind.
func (r *report) failed(kind string, err error) {
	if r.Errors[kind]++; r.Errors[kind] == 1 {
		r.Example[kind] = err.Error()
	}
}

// metricsFailed counts an answer without metrics.
func (r *report) metricsFailed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed("metrics", err)
}

// fault notes what is wrong with the server.
func (r *report) fault(err error) {
	if err != nil {
		r.Faults = append(r.Faults, err.Error())
	}
}

// sum computes what follows from all that was told, once the load has ended.
func (r *report) sum(after sample) {
	for _, t := range []*times{&r.First, &r.Gap, &r.Answer} {
		t.sum()
	}
	if len(r.Samples) > 0 {
		before := r.Samples[0]
		r.Drawn, r.Prompt, r.Cached = after.Drawn-before.Drawn, after.Prompt-before.Prompt, after.Cached-before.Cached
		r.Speed = r.Drawn / (after.Second - before.Second)
	}
	for kind, n := range r.Errors {
		r.fault(fmt.Errorf("%d times %s, such as: %s", n, kind, r.Example[kind]))
	}
	if r.Whole == 0 {
		r.fault(fmt.Errorf("no answer came to its end"))
	}
	r.fault(r.growing())
}

// Memory counts as growing where its median in the last quarter of a run of this many samples or more is above that of the
// second quarter by more than the share and the bytes.
const (
	growthSamples = 60
	growthShare   = 0.05
	growthBytes   = 16 << 20
)

// growing returns the error of a server whose memory grows.
func (r *report) growing() error {
	n := len(r.Samples)
	if n < growthSamples {
		return nil
	}
	early, late := r.memory(n/4, n/2), r.memory(n*3/4, n)
	if late > early*(1+growthShare)+growthBytes {
		return fmt.Errorf("memory grows: %.1f MiB in the second quarter, %.1f MiB in the last", early/(1<<20), late/(1<<20))
	}
	return nil
}

// memory returns the median of the resident memory of some samples.
func (r *report) memory(from, to int) float64 {
	var list []float64
	for _, s := range r.Samples[from:to] {
		list = append(list, s.Memory)
	}
	slices.Sort(list)
	return list[len(list)/2]
}

// print writes the report for people.
func (r *report) print(w io.Writer) error {
	p := &printer{w: w}
	p.f("%s, %d clients, %.0f s\n", r.Server, r.Clients, r.Seconds)
	p.f("asked: %d chats, %d turns more, %d completions; %d answers whole, %d left, %d failed\n",
		r.Asked["chat"], r.Asked["turn"], r.Asked["completion"], r.Whole, r.Left, r.failures())
	p.f("tokens: %.0f drawn, %.1f a second; %.0f of prompts, of which %.0f cached (%.0f %%)\n\n",
		r.Drawn, r.Speed, r.Prompt, r.Cached, 100*r.Cached/max(r.Prompt, 1))
	p.f("%-22s %8s %9s %9s %9s %9s\n", "ms", "n", "p50", "p90", "p99", "max")
	p.times("first piece", &r.First)
	p.times("between pieces", &r.Gap)
	p.times("whole answer", &r.Answer)
	p.bars("first piece", &r.First)
	p.bars("between pieces", &r.Gap)
	p.samples(r.Samples)
	if o := r.Overload; o != nil {
		p.f("\n%d requests at once: %d times refused with status 429 and Retry-After, all answered after %.1f s\n", o.Requests, o.Refused, o.Seconds)
		p.times("first piece", &o.First)
	}
	p.f("idle %.2f s after the last answer\n", r.Idle)
	for _, f := range r.Faults {
		p.f("FAULT: %s\n", f)
	}
	return p.err
}

func (r *report) failures() (n int) {
	for _, k := range r.Errors {
		n += k
	}
	return n
}

// printer writes, and keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) f(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *printer) times(name string, t *times) {
	p.f("%-22s %8d %9.1f %9.1f %9.1f %9.1f\n", name, t.N, t.P50, t.P90, t.P99, t.Max)
}

// bars draws how many times lie below each bound and not below the one before.
func (p *printer) bars(name string, t *times) {
	most := 1
	for _, b := range t.Bars {
		most = max(most, b.N)
	}
	p.f("\n%s, below ms\n", name)
	for _, b := range t.Bars {
		p.f("%9.4g %8d %s\n", b.Below, b.N, strings.Repeat("#", (b.N*50+most-1)/most))
	}
}

// samples writes some of the samples, from the first to the last.
func (p *printer) samples(list []sample) {
	const rows = 10
	p.f("\n%8s %12s %8s %11s %6s %8s %8s %9s %7s %10s\n", "s", "memory MiB", "Go MiB", "goroutines", "files", "running", "waiting", "resident", "parked", "cache MiB")
	for i := range min(rows, len(list)) {
		s := list[i*(len(list)-1)/max(min(rows, len(list))-1, 1)]
		p.f("%8.0f %12.1f %8.1f %11.0f %6.0f %8.0f %8.0f %9.0f %7.0f %10.1f\n", s.Second, s.Memory/(1<<20), s.Heap/(1<<20), s.Goroutines, s.Files, s.Running, s.Waiting,
			s.Resident, s.Parked, s.Cache/(1<<20))
	}
}
