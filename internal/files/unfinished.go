package files

import (
	"errors"
	"os"
	"sync"
)

// unfinished are the files of this process that do not have their name yet.
var unfinished struct {
	sync.Mutex
	files     map[string]bool
	abandoned bool
}

var errAbandoned = errors.New("writing was given up")

func begun(name string) {
	unfinished.Lock()
	defer unfinished.Unlock()
	if unfinished.files == nil {
		unfinished.files = map[string]bool{}
	}
	unfinished.files[name] = true
}

// finish gives a file that begun was told of its name, if there is one, or removes it.
func finish(name, target string) error {
	unfinished.Lock()
	defer unfinished.Unlock()
	delete(unfinished.files, name)
	if target == "" || unfinished.abandoned {
		_ = os.Remove(name) // it may be gone
		return errAbandoned
	}
	return os.Rename(name, target)
}

// Abandon removes the files that are being written at this moment, for a process that ends without waiting for who
// writes them. From then on nothing is replaced.
func Abandon() {
	unfinished.Lock()
	defer unfinished.Unlock()
	unfinished.abandoned = true
	for name := range unfinished.files {
		_ = os.Remove(name) // it may be gone, and there is nobody to tell
	}
}
