package vulkan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// Tuner chooses the forms of matrix products and recurrences by measuring them, once for a device, a driver and a shape. What
// it finds is kept in a file, by which a later run is spared the time.
type Tuner struct {
	Path   string        // of the file; "" keeps nothing
	Budget time.Duration // of one process for measuring; what it does not suffice for runs in its usual form
	Notice func(string)  // told once when measuring begins, and of a form that is wrong; may be nil

	spent   time.Duration
	began   bool
	found   map[string]tuned // by device, driver and product
	changed bool
}

// tuningFile is what the file holds. Choices count only for the kernels that were measured.
type tuningFile struct {
	Kernels string           `json:"kernels"` // their sum
	Found   map[string]tuned `json:"found"`
}

// kernelSum tells the kernels that are measured, as they are compiled, from those of any other build.
var kernelSum = sync.OnceValue(func() string { return shaders.Sum("matmul_", "wkv7") })

// tuned is a choice, as the file has it.
type tuned struct {
	Kernel string `json:"kernel"`
	Rows   uint32 `json:"rows"`
	Tokens uint32 `json:"tokens"`
	Micros int    `json:"micros"` // of a dispatch
}

// TuningPath returns where the tuning of this user's devices is kept.
func TuningPath() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "rwkv-gpu", "tuning.json"), nil
}

// NewTuner returns a tuner that goes on from the file of an earlier one, or with fresh from nothing. A file that cannot be
// read, or that other kernels were measured for, costs only the time to measure again.
func NewTuner(path string, fresh bool, notice func(string)) *Tuner {
	t := &Tuner{Path: path, Budget: tuningBudget, Notice: notice, found: map[string]tuned{}}
	if fresh || path == "" {
		return t
	}
	var file tuningFile
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &file)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.tell(fmt.Sprintf("tuning file ignored: %v", err))
	}
	if err == nil && file.Kernels == kernelSum() && file.Found != nil {
		t.found = file.Found
	}
	return t
}

// tuningBudget keeps a first start short.
const tuningBudget = 5 * time.Second

func (t *Tuner) tell(s string) {
	if t.Notice != nil {
		t.Notice(s)
	}
}

// begin tells once that measuring begins.
func (t *Tuner) begin(device string) {
	if !t.began {
		t.began = true
		t.tell(fmt.Sprintf("measuring the fastest kernels for %s, once, for at most %s", device, t.Budget))
	}
}

// keep saves what was found. A failure costs no more than to measure again.
func (t *Tuner) keep() {
	if t == nil || !t.changed {
		return
	}
	if err := t.save(); err != nil {
		t.tell(fmt.Sprintf("tuning is not kept: %v", err))
	}
}

// save writes the file, whole or not at all. Processes that save at once lose one another's findings, and nothing more.
func (t *Tuner) save() error {
	if t.changed = false; t.Path == "" {
		return nil
	}
	data, err := json.MarshalIndent(tuningFile{kernelSum(), t.found}, "", "\t")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(t.Path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(t.Path), "tuning-*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), t.Path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the error that counts is err
	}
	return err
}

// tuningKey names a product of n tokens on the executor's device. Beyond fewTokens, numbers of tokens are alike, but for
// where matmul_hold begins.
func (e *Exec) tuningKey(u *unit, n uint32) string {
	tokens := fmt.Sprint(n)
	if n > fewTokens && (n >= holdLeast || !e.kernels.shape.fitsHold(u)) {
		tokens = "many"
	}
	info := e.dev.Info()
	return fmt.Sprintf("%s | %s | %s | %s %d rows, %d bytes, %s tokens", info.Name, info.Driver, e.loads, u.typ, u.rows,
		u.weightBytes, tokens)
}

// form returns the form for a unit and n tokens: the one found fastest, or the usual one. To find one it needs the scratch.
func (e *Exec) form(u *unit, n uint32, mayMeasure bool) (matMulForm, error) {
	shape := &e.kernels.shape
	if e.matMul == Sparse { // as far as it suits: see sparseForm
		return shape.usual(u, n), nil
	}
	if e.matMul == Narrow && !shape.fitsNarrow(u) || e.matMul == Hold && !shape.fitsHold(u) {
		return shape.usual(u, n), nil
	}
	if e.matMul != Auto {
		return shape.of(e.matMul, n), nil
	}
	usual, t := shape.usual(u, n), e.tuner
	if t == nil {
		return usual, nil
	}
	return choose(e, e.tuningKey(u, n), usual, mayMeasure, func() []matMulForm { return shape.candidates(u, n) },
		func() contest[matMulForm] { return e.newTrial(u, n) })
}

// candidate is a form that the tuner may choose. The file has it as kept returns it, with a time.
type candidate interface {
	comparable
	fmt.Stringer
	kept() tuned
}

// contest is a trial of such forms. Between hold and restore it may use memory that others need.
type contest[F candidate] interface {
	fmt.Stringer // of what is worked on
	hold() error
	restore() error
	results(f F) ([]float32, error)
	before() []float32 // what lay, before, where the results come
	time(f F, limit time.Duration) (time.Duration, error)
}

// choose returns the form that is kept under key, or that of a list, the usual one first, which is now measured to be the
// fastest. Without either it is the usual one.
func choose[F candidate](e *Exec, key string, usual F, mayMeasure bool, candidates func() []F, trial func() contest[F]) (F, error) {
	t := e.tuner
	if have, ok := t.found[key]; ok { // and if it is none of these, the file was changed, and is not believed
		for _, f := range candidates() {
			if k := f.kept(); k.Kernel == have.Kernel && k.Rows == have.Rows && k.Tokens == have.Tokens {
				return f, nil
			}
		}
	}
	if !mayMeasure || t.spent >= t.Budget {
		return usual, nil
	}
	t.begin(e.Device())
	start, first := time.Now(), t.spent == 0
	best, took, all, err := fastest(e, trial(), candidates(), start.Add(t.Budget-t.spent))
	t.spent += time.Since(start)
	if err != nil {
		return usual, err
	}
	if !all && !first { // the next process begins with it; if this one did, none gets further
		return usual, nil
	}
	found := best.kept()
	found.Micros = int(took.Microseconds())
	t.found[key], t.changed = found, true
	return best, nil
}

// fastest measures a list of forms until some time, and tells whether that sufficed for all. The first, with whose results
// the others' are compared, is measured in any case.
func fastest[F candidate](e *Exec, trial contest[F], list []F, until time.Time) (best F, took time.Duration, all bool, err error) {
	if err := trial.hold(); err != nil {
		return best, 0, false, err
	}
	defer func() { err = errors.Join(err, trial.restore()) }()
	want, err := trial.results(list[0])
	if err != nil {
		return best, 0, false, err
	}
	if took, err = trial.time(list[0], 0); err != nil {
		return best, 0, false, err
	}
	best = list[0]
	for _, f := range list[1:] {
		if !time.Now().Before(until) {
			return best, took, false, nil
		}
		got, err := trial.results(f)
		if refused(err) {
			continue
		}
		if err != nil {
			return best, 0, false, err
		}
		if !alike(got, want, trial.before()) {
			e.tuner.tell(fmt.Sprintf("kernel %s for %s is wrong on %s, and not used", f, trial, e.Device()))
			continue
		}
		d, err := trial.time(f, took)
		if refused(err) {
			continue
		}
		if err != nil {
			return best, 0, false, err
		}
		if clearly(d, took) {
			best, took = f, d
		}
	}
	if best == list[0] {
		return best, took, true, nil
	}
	// The first form went first, when the device may not have been up to its full speed.
	again, err := trial.time(list[0], took)
	if err == nil && !clearly(took, again) {
		best, took = list[0], again
	}
	return best, took, true, err
}

// refused tells whether err means no more than that the device cannot run a form: it lacks memory, a limit or a feature. After
// any other error, as a lost device, nothing that comes is to be believed.
func refused(err error) bool {
	return errors.Is(err, gpu.ErrOutOfMemory) || errors.Is(err, gpu.ErrUnsupported)
}

// clearly tells whether d is less than the time of a form that is better known: a little less may be noise.
func clearly(d, known time.Duration) bool { return d < known*19/20 }

// alike tells whether two results are the same but for the order of sums. What lay there before counts for
// the size of neither: it may be larger.
func alike(got, want, before []float32) bool {
	var largest, worst float64
	for i, w := range want {
		if !tensor.IsFinite(got[i]) {
			return false
		}
		if w != before[i] {
			largest = max(largest, abs(w))
		}
		worst = max(worst, abs(got[i]-w))
	}
	return worst <= 1e-4*largest
}

func abs(f float32) float64 { return max(float64(f), -float64(f)) }
