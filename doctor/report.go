package doctor

import (
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/conform"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// Level grades a finding.
type Level string

// Levels, from what is only worth knowing to what keeps a model from running right. The report's verdict is the gravest,
// where OK stands for no finding above a note.
const (
	Note Level = "note"
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

var gravity = []Level{Note, OK, Warn, Fail}

// Finding is something that a person should know, and what to do about it.
type Finding struct {
	Level  Level  `json:"level"`
	Text   string `json:"text"`
	Do     string `json:"do,omitempty"`
	Source string `json:"source,omitempty"` // URL
}

// Report is what was found.
type Report struct {
	Verdict   Level            `json:"verdict"`
	Version   string           `json:"version"` // of the program
	Processor Processor        `json:"processor"`
	Loader    Loader           `json:"loader"`
	Devices   []gpu.Info       `json:"devices"`
	Chosen    string           `json:"chosen"` // "" if nothing can run
	Driver    string           `json:"driver,omitempty"`
	Why       string           `json:"why"`
	Features  []Feature        `json:"features"`
	Limits    Limits           `json:"limits"`
	Memory    Memory           `json:"memory"`
	Ops       []conform.Result `json:"ops"`
	Seconds   float64          `json:"conformance_seconds,omitempty"`
	Unfit     []Unfit          `json:"unfit"` // what does not run any more on the chosen device
	Kept      Kept             `json:"kept"`
	Findings  []Finding        `json:"findings"`

	folders []string // whose names scrub takes away
}

// Processor is the machine's.
type Processor struct {
	System  string   `json:"system"` // operating system and architecture
	Level   string   `json:"level"`  // of the kernels that run
	Levels  []string `json:"levels"` // that the processor has, the best last
	Threads int      `json:"threads"`
}

// Loader is the Vulkan loader and the drivers that it may find.
type Loader struct {
	Found      bool     `json:"found"`
	Name       string   `json:"name,omitempty"`
	Version    string   `json:"version,omitempty"`
	Manifests  []string `json:"manifests"`            // file names of installed drivers' manifests
	Restricted string   `json:"restricted,omitempty"` // the environment variable that chooses among them
}

// Feature is an optional feature of a device that kernels use.
type Feature struct {
	Name        string `json:"name"`
	Has         bool   `json:"has"`
	Consequence string `json:"consequence"` // of having it, or of lacking it
}

// Limits are what a device allows and what it does at best.
type Limits struct {
	Read   float64 `json:"read_gb_per_s"`
	Flops  float64 `json:"fma_gflops"`
	Device []Limit `json:"device"`
}

// Limit is a limit of a device that kernels or models may meet.
type Limit struct {
	Name        string `json:"name"`
	Value       int    `json:"value"`
	Wanted      int    `json:"wanted"`
	OK          bool   `json:"ok"`
	Consequence string `json:"consequence,omitempty"` // if it is not
}

// Memory compares what the model needs with what the chosen device has.
type Memory struct {
	Model   string `json:"model"` // file name
	Needed  int    `json:"needed_bytes"`
	Weights int    `json:"weights_bytes"` // of those
	Free    int    `json:"free_bytes"`
	Known   bool   `json:"free_known"` // reports whether the device says what is free
	Advice  string `json:"advice,omitempty"`
}

// Unfit is a way to work that gave wrong results and does not run any more.
type Unfit struct {
	Way string `json:"way"`
	Why string `json:"why"`
	New bool   `json:"new"` // reports whether this run found it
}

// Kept is what earlier runs left.
type Kept struct {
	Forms     int   `json:"tuned_forms"`     // of the chosen device and driver
	Suspects  int   `json:"suspect_forms"`   // in whose trials processes ended
	Pipelines int64 `json:"pipelines_bytes"` // of compiled kernels, of all devices
}

// find adds a finding.
func (r *Report) find(l Level, text, do string) {
	r.Findings = append(r.Findings, Finding{Level: l, Text: scrub(text, r.folders...), Do: do})
}

// judge sets the verdict, and puts the gravest findings first.
func (r *Report) judge() {
	at := func(l Level) int { return slices.Index(gravity, l) }
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return at(b.Level) - at(a.Level) })
	r.Verdict = OK
	if len(r.Findings) > 0 && at(r.Findings[0].Level) > at(OK) {
		r.Verdict = r.Findings[0].Level
	}
}

// Failed reports whether the report is one of a failed check. If strict is set, a warning is enough.
func (r *Report) Failed(strict bool) bool { return r.Verdict == Fail || strict && r.Verdict == Warn }
