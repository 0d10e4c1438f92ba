package tune

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// file is the content of the file. Choices count only for the kernels that were measured.
type file struct {
	Kernels string            `json:"kernels"` // their sum
	Found   map[string]found  `json:"found"`
	Trying  map[string]string `json:"trying,omitempty"` // forms under trial, and by which process: see Tuner.tries
}

// found is the best of a list of forms, as the file stores it.
type found struct {
	Form
	Micros int    `json:"micros"`          // of a dispatch
	Next   int    `json:"next,omitempty"`  // the form to be tried next; 0 when all were
	Among  string `json:"among,omitempty"` // sum of the list of forms
}

// kernelSum is a checksum of the compiled kernels that are measured. Another build of them has another sum.
var kernelSum = sync.OnceValue(func() string { return shaders.Sum("matmul_", "wkv7", "sample_") })

// Path returns the path of the file with the tuning of this user's devices.
func Path() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "rwkv-gpu", "tuning.json"), nil
}

// mostBytes limits the size of the file. No number of devices and shapes comes near.
const mostBytes = 16 << 20

// read reads the file. It ignores what was measured for other kernels.
func read(path string) (f file, err error) {
	data, err := files.ReadRegular(path, mostBytes)
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	if err != nil || f.Kernels != kernelSum() {
		return file{}, err
	}
	return f, nil
}

// owner names this process, among all that ever write the file, by digits, as files.Claim needs it.
var owner = sync.OnceValue(func() string { return fmt.Sprintf("%d%d", os.Getpid(), time.Now().UnixNano()) })

// suspects returns the forms of a file that no living process but this one is trying. A process ended while it tried
// such a form, or an earlier tuner of this process tried it.
func suspects(path string, trying map[string]string) map[string]string {
	maps.DeleteFunc(trying, func(_, by string) bool { return by != owner() && files.Claimed(path, by) })
	return trying
}

// keeping is what the tuner knows, and the file that keeps it. Only the holder of the tuner's turn may use the fields
// but found and ours.
type keeping struct {
	mu    sync.Mutex       // guards found and ours
	found map[string]found // by device, driver and work
	ours  map[string]bool  // keys of found that this tuner measured itself

	path     string            // "": none
	patience time.Duration     // savePatience but in tests
	lethal   map[string]string // forms in whose trials an earlier process ended, as in the file's Trying
	trying   string            // the form under trial, by the key of lethal
	tried    map[string]bool   // forms that this process tried without harm, by the same key
	release  func()            // takes back the claim on the file while the file names a form that this process tries
	marked   bool              // reports whether the file names one
	fresh    bool              // reports whether the content of the file does not count
	owed     bool              // reports whether the last save failed
	told     bool              // reports whether the user knows that nothing is kept
}

func (t *keeping) open(path string, fresh bool) error {
	t.path, t.patience, t.fresh = path, savePatience, fresh
	t.found, t.ours, t.tried = map[string]found{}, map[string]bool{}, map[string]bool{}
	if fresh || path == "" {
		return nil
	}
	file, err := read(path)
	if file.Found != nil {
		t.found = file.Found
	}
	t.lethal = suspects(path, file.Trying)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// known returns what was found under a key.
func (t *keeping) known(key string) (f found, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f, ok = t.found[key]
	return f, ok
}

func (t *keeping) take(key string, f found) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.found[key], t.ours[key], t.trying = f, true, ""
}

// tries notes that a form is tried now, and reports whether the file has to say so.
func (t *keeping) tries(form string) bool {
	if t.tried[form] {
		form = ""
	}
	changed := form != t.trying
	t.trying = form
	return changed
}

// ends notes that a trial ended with an error. If lethal is set, the form cost the device: neither this tuner nor a
// later one tries it again.
func (t *keeping) ends(lethal bool) {
	if lethal && t.trying != "" {
		if t.lethal == nil {
			t.lethal = map[string]string{}
		}
		t.lethal[t.trying] = nobody
	}
	t.trying = ""
}

// nobody stands in the file for a process that lost its device to a form. Like a process that has ended, it tries
// nothing more.
const nobody = "0"

// survives notes that the trial of a form is over and did no harm.
func (t *keeping) survives() { t.tried[t.trying] = true }

// savePatience is how long a tuner waits for other writers of the file. A write takes milliseconds. Where the disk is
// slow and many processes begin at once it takes longer. Then the tuner goes on, and saves later.
const savePatience = 2 * time.Second

// save writes the file, whole or not at all, together with what other processes found meanwhile. After a save that
// failed, only a last one waits for other writers, so that a file that nobody can write holds nothing up.
func (t *keeping) save(last bool) error {
	if t.path == "" {
		return nil
	}
	if t.trying != "" && t.release == nil {
		t.claim()
	}
	patience := t.patience
	if t.owed && !last {
		patience = 0
	}
	err := files.Exclusively(t.path, patience, t.merge)
	if t.owed = err != nil; !t.owed {
		t.fresh, t.marked = false, t.trying != ""
	}
	if t.release != nil && !t.marked { // what is not written needs no claim
		t.release()
		t.release = nil
	}
	return err
}

// merge joins the content of the file with what this tuner knows, and writes both.
func (t *keeping) merge() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := file{Kernels: kernelSum(), Found: t.found, Trying: map[string]string{}}
	if old, err := read(t.path); err == nil && !t.fresh {
		t.learn(old.Found)
		maps.Copy(all.Trying, old.Trying)
		maps.DeleteFunc(all.Trying, own)
	}
	for form, by := range t.lethal {
		if by == nobody {
			all.Trying[form] = by
		}
	}
	if t.trying != "" && underTrial.note(t.path) {
		all.Trying[t.trying] = owner()
	}
	// A device that hangs may take the whole machine with it.
	return all.write(t.path, t.trying != "")
}

// learn takes over what other processes found: choices that this tuner has not measured, and choices that they measured
// further.
func (t *keeping) learn(found map[string]found) {
	for key, theirs := range found {
		if ours := t.found[key]; !t.ours[key] || theirs.Among == ours.Among && theirs.further(ours) {
			t.found[key] = theirs
		}
	}
}

// further reports whether a is the later of two standings of one measurement.
func (a found) further(b found) bool { return b.Next != 0 && (a.Next == 0 || a.Next > b.Next) }

// own reports whether this process tries a form.
func own(_, by string) bool { return by == owner() }

func (f *file) write(path string, durable bool) error {
	data, err := json.MarshalIndent(f, "", "\t")
	if err != nil {
		return err
	}
	return files.Keep(path, append(data, '\n'), durable)
}

// claim tells other processes that this one is alive, as far as the system can. It ignores errors: save reports them.
func (t *keeping) claim() {
	if err := os.MkdirAll(filepath.Dir(t.path), 0o755); err != nil {
		return
	}
	if release, err := files.Claim(t.path, owner()); err == nil {
		t.release = release
	}
}
