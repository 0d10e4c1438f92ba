package files

import (
	"errors"
	"os"
	"sync"
	"time"
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

// readBriefly is how long somebody takes who reads a small file. Meanwhile some systems do not let it be replaced.
const readBriefly = 2 * time.Second

// finish gives a file that begun was told of its name, if there is one, or removes it. What cannot be replaced since
// somebody has it open is tried again for a while.
func finish(name, target string) error {
	for w := begin(); ; time.Sleep(holdPause) {
		if err := tryFinish(name, target); !inUse(err) || w.waited() > readBriefly {
			return err
		}
	}
}

func tryFinish(name, target string) error {
	unfinished.Lock()
	defer unfinished.Unlock()
	if target == "" || unfinished.abandoned {
		delete(unfinished.files, name)
		_ = os.Remove(name) // it may be gone
		return errAbandoned
	}
	err := os.Rename(name, target)
	if !inUse(err) {
		delete(unfinished.files, name)
	}
	return err
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
