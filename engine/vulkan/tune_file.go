package vulkan

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// tuningFile is what the file holds. Choices count only for the kernels that were measured.
type tuningFile struct {
	Kernels string            `json:"kernels"` // their sum
	Found   map[string]tuned  `json:"found"`
	Trying  map[string]string `json:"trying,omitempty"` // forms under trial, and by which process: see Tuner.tries
}

// tuned is a choice, as the file has it.
type tuned struct {
	Kernel string `json:"kernel"`
	Rows   uint32 `json:"rows"`
	Tokens uint32 `json:"tokens"`
	Micros int    `json:"micros"`          // of a dispatch
	Next   int    `json:"next,omitempty"`  // the form to be tried next; 0 when all were
	Among  string `json:"among,omitempty"` // sum of the forms it was measured among
}

// same tells whether two choices are of one form.
func (a tuned) same(b tuned) bool {
	return a.Kernel == b.Kernel && a.Rows == b.Rows && a.Tokens == b.Tokens
}

// kernelSum tells the kernels that are measured, as they are compiled, from those of any other build.
var kernelSum = sync.OnceValue(func() string { return shaders.Sum("matmul_", "wkv7", "sample_") })

// TuningPath returns where the tuning of this user's devices is kept.
func TuningPath() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "rwkv-gpu", "tuning.json"), nil
}

// mostTuningBytes is more than any number of devices and shapes takes.
const mostTuningBytes = 16 << 20

// readTuning reads the file. What was measured for other kernels counts as nothing.
func readTuning(path string) (file tuningFile, err error) {
	data, err := files.ReadRegular(path, mostTuningBytes)
	if err == nil {
		err = json.Unmarshal(data, &file)
	}
	if err != nil || file.Kernels != kernelSum() {
		return tuningFile{}, err
	}
	return file, nil
}

// owner names this process among those that write the file, and of all times: by digits, as files.Claim has it.
var owner = sync.OnceValue(func() string { return fmt.Sprintf("%d%d", os.Getpid(), time.Now().UnixNano()) })

// suspects returns the forms of a file that another process is not just trying: of those, one ended in the trial, or an
// earlier tuner of this one.
func suspects(path string, trying map[string]string) map[string]string {
	maps.DeleteFunc(trying, func(_, by string) bool { return by != owner() && files.Claimed(path, by) })
	return trying
}

// keep saves what was found. A failure costs no more than to measure again; it is told once.
func (t *Tuner) keep() {
	if err := t.save(); err != nil && !t.failed {
		t.failed = true
		t.tell(fmt.Sprintf("tuning is not kept: %v", err))
	}
}

// savePatience is how long a tuner waits for others that write the file, which takes milliseconds.
const savePatience = 2 * time.Second

// save writes the file, whole or not at all, with what other processes found meanwhile.
func (t *Tuner) save() error {
	if t.Path == "" {
		return nil
	}
	if t.trying != "" && t.release == nil {
		t.claim()
	}
	err := files.Exclusively(t.Path, savePatience, t.merge)
	if t.release != nil && (err != nil || t.trying == "") { // what is not written needs no claim
		t.release()
		t.release = nil
	}
	if err == nil {
		t.fresh = false
	}
	return err
}

// merge puts together what the file holds and what this tuner knows, and writes it.
func (t *Tuner) merge() error {
	file := tuningFile{Kernels: kernelSum(), Found: t.found, Trying: map[string]string{}}
	if old, err := readTuning(t.Path); err == nil && !t.fresh {
		t.learn(old.Found)
		maps.Copy(file.Trying, old.Trying)
		maps.DeleteFunc(file.Trying, own)
	}
	if t.trying != "" && underTrial.note(t.Path) {
		file.Trying[t.trying] = owner()
	}
	// A device that hangs may take the whole machine with it.
	return file.write(t.Path, t.trying != "")
}

// learn takes over what others found: all that this tuner has not measured, and what was measured further.
func (t *Tuner) learn(found map[string]tuned) {
	for key, theirs := range found {
		if ours := t.found[key]; !t.ours[key] || theirs.Among == ours.Among && theirs.further(ours) {
			t.found[key] = theirs
		}
	}
}

// further reports whether of two standings of one measurement a is the later.
func (a tuned) further(b tuned) bool { return b.Next != 0 && (a.Next == 0 || a.Next > b.Next) }

// own reports whether a form's trial is of this process.
func own(_, by string) bool { return by == owner() }

func (f *tuningFile) write(path string, durable bool) error {
	data, err := json.MarshalIndent(f, "", "\t")
	if err != nil {
		return err
	}
	return files.Keep(path, append(data, '\n'), durable)
}

// claim tells other processes that this one is alive, as far as the system can; save tells what else is wrong.
func (t *Tuner) claim() {
	if err := os.MkdirAll(filepath.Dir(t.Path), 0o755); err != nil {
		return
	}
	if release, err := files.Claim(t.Path, owner()); err == nil {
		t.release = release
	}
}
