package doctor

import (
	"encoding/json"
	"io"

	"github.com/rwkv-gpu/rwkv-gpu/engine/conform"
)

// Event is what an examination tells of itself while it goes on. Whoever reads the events of a process that crashed
// knows what it found, and in what it crashed.
type Event struct {
	Step   string          `json:"step,omitempty"`   // that begins, as a noun
	Asks   bool            `json:"asks,omitempty"`   // reports whether the step asks a driver
	Way    string          `json:"way,omitempty"`    // that the step tries: the key of what would be unfit
	Of     *conform.Result `json:"of,omitempty"`     // names that way; nil without one
	Done   int             `json:"done,omitempty"`   // cases of the conformance run
	All    int             `json:"all,omitempty"`    // of these
	Report *Report         `json:"report,omitempty"` // what is found so far; nil: nothing new
	Over   bool            `json:"over,omitempty"`   // reports whether the report is complete
}

// tell tells of an event.
func (e *examination) tell(x Event) {
	if e.o.Tell != nil {
		e.o.Tell(&x)
	}
}

// step tells that a step begins.
func (e *examination) step(what string, asks bool) {
	e.tell(Event{Step: what, Asks: asks, Report: e.Report})
}

// Write writes the event as a line of JSON, after an empty line: drivers may have left a line without its end.
func (x *Event) Write(w io.Writer) error {
	data, err := json.Marshal(x)
	if err != nil {
		return err
	}
	_, err = w.Write(append(append([]byte{'\n'}, data...), '\n'))
	return err
}
