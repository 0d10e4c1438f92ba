package tune

import (
	"maps"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// trialMarks has the files in which this process may have written that it is trying a form.
type trialMarks struct {
	sync.Mutex
	paths map[string]bool
	over  bool // reports whether nothing may be written any more
}

var underTrial trialMarks

// note notes that a form under trial will be written to a file. It reports whether that is allowed.
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

// end returns the files, and forbids further writing.
func (m *trialMarks) end() map[string]bool {
	m.Lock()
	defer m.Unlock()
	m.over = true
	return m.paths
}

// leavePatience is how long a process that ends waits for others that write its tuning file.
const leavePatience = 100 * time.Millisecond

// AcquitForms removes from the files what tuners of this process wrote of a form under trial. A process calls it when
// its user ends it in the middle of a trial: then the form is not to blame. It waits for no device. Nothing is written
// of trials after it.
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
