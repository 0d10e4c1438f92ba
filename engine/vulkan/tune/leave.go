package tune

import (
	"maps"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// trialMarks are the files in which this process may have written that it is trying a form.
type trialMarks struct {
	sync.Mutex
	paths map[string]bool
	over  bool // nothing is written down any more
}

var underTrial trialMarks

// note says that a file is to be written with a form under trial, and reports whether it may be.
func (m *trialMarks) note(path string) bool {
	m.Lock()
	defer m.Unlock()
	if m.over {
		return false
	}
	if m.paths == nil {
		m.paths = map[string]bool{}
	}
	m.paths[path] = true
	return true
}

// end returns the files and lets no more be written.
func (m *trialMarks) end() map[string]bool {
	m.Lock()
	defer m.Unlock()
	m.over = true
	return m.paths
}

// leavePatience is how long a process that ends waits for others that write its tuning file.
const leavePatience = 100 * time.Millisecond

// AcquitForms takes back what tuners of this process wrote down of a form under trial, for a process that its user ends
// in the middle of that: it is not the form's fault. It waits for no device. From then on nothing of the kind is
// written.
func AcquitForms() {
	for path := range underTrial.end() {
		_ = files.Exclusively(path, leavePatience, func() error { return acquitIn(path) }) // at worst the form is not tried again
	}
}

func acquitIn(path string) error {
	f, err := read(path)
	if err != nil {
		return err
	}
	before := len(f.Trying)
	if maps.DeleteFunc(f.Trying, own); len(f.Trying) == before {
		return nil
	}
	return f.write(path, false)
}
