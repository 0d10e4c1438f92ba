package vulkan

import (
	"math/bits"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// A pass over many rows may take seconds on a slow device. Systems reset a device that is busy with one submission for
// about two, other work on it waits for the end of one, and nothing can be given up within one; so a pass that takes
// long is submitted in parts. The batch stays whole, and with it the speed: dispatches are the same as in one
// submission.
const (
	longestPart = 250 * time.Millisecond
	goodPart    = longestPart / 2
	shortPart   = longestPart / 8 // parts that take less on average are too many
	dangerous   = 4 * longestPart
	maxRest     = 63
)

// A step of a pass is a dispatch or two, and is only divided by its tokens. So a pass takes no more of them than keep
// its longest step well below what systems allow a device.
const (
	longestStep = 2 * longestPart
	slowPace    = 10e9 // elements of matrices that one multiplies with in a second, if nothing is known of it: 20 GFLOPS
	guessedRows = 64   // that are taken for that alone, at most
)

// unmeasuredPace is the time for an element on a device of which nothing is known. Drivers that emulate one on a single
// busy core are faster.
const unmeasuredPace = 10 * time.Nanosecond

// pacing owns how long a submission may be: in how many parts a pass is submitted, how many rows it has at most, how
// many steps a Decode has, and how long a wait for it may take. It goes by the passes that ran.
type pacing struct {
	known           known
	work            rowWork
	now             func() time.Time // time.Now but in tests
	waited, longest time.Duration    // see Waited and LongestSubmission
	bursts          map[int]burst    // by number of sequences
}

// burst is how many steps the last Decode took.
type burst struct {
	steps int
	step  time.Duration
}

// longestBurst is the longest that a Decode should take, so that text appears smoothly and other work has its turn.
const longestBurst = 45 * time.Millisecond

// next returns how many steps to take of n: as many as fit a burst, but at most double those of the time before.
func (b burst) next(n int) int {
	steps := 1
	for 2*steps <= min(n, MaxDecodeSteps) && steps <= b.steps && time.Duration(2*steps)*b.step <= longestBurst {
		steps *= 2
	}
	return steps
}

// drew notes what a Decode of some sequences took.
func (p *pacing) drew(seqs, steps int, took time.Duration) {
	if p.bursts == nil {
		p.bursts = map[int]burst{}
	}
	p.bursts[seqs] = burst{steps, took / time.Duration(steps)}
}

// known is the time of a pass that was run: of the most rows so far, or of less time for a row.
type known struct {
	rows int
	took time.Duration
	work float64 // see expected
}

// learn takes the time of another pass for the better known one. A pass may have been held up, as by a computer that
// was put to sleep, so one that shows rows to take less counts too, however few they are.
func (k *known) learn(p known) {
	if p.rows >= k.rows || float64(p.took)*float64(k.rows) < float64(k.took)*float64(p.rows) {
		*k = p
	}
}

// partsFor returns the parts that divide what takes so long into good ones.
func partsFor(took time.Duration, units int) int {
	return min(max(int((took+goodPart-1)/goodPart), 1), units)
}

// parts returns the parts of a pass that was never run: the time of one grows with its rows, at most in proportion.
// Before anything is known each step is a part.
func (p *pacing) parts(rows, units int) int {
	k := p.known
	if k.rows == 0 {
		return units
	}
	return partsFor(k.took*time.Duration(max(rows, k.rows))/time.Duration(k.rows), units)
}

// better returns how many parts the pass should have, by its last run. Parts that took dangerously long are divided at
// once, others if it was no moment's disturbance; they are joined again only when they are far too short. Each change
// makes the next one wait longer.
func (p *pass) better() int {
	n := len(p.parts)
	switch {
	case p.longest <= dangerous && p.runs < p.rest:
	case p.longest > dangerous, p.over > 1:
		return min(max(n+1, partsFor(p.longest*time.Duration(n), p.units)), p.units)
	case p.total > 0 && n > 1 && p.total < shortPart*time.Duration(n):
		return min(partsFor(p.total, p.units), n)
	}
	return n
}

// ran notes what a run of a pass over so many rows took, and the longest of its parts.
func (p *pacing) ran(done *pass, rows int, total, longest time.Duration) {
	done.total, done.longest, p.longest = total, longest, max(p.longest, longest)
	done.runs++
	if done.over++; longest <= longestPart {
		done.over = 0
	}
	p.known.learn(known{rows, total, done.work})
}

// expected returns how long so much work (kernel.Effort) should take, by the largest pass so far.
func (p *pacing) expected(work float64) time.Duration {
	pace := float64(unmeasuredPace)
	if p.known.work > 0 {
		pace = float64(p.known.took) / p.known.work
	}
	return time.Duration(min(work*pace, float64(24*time.Hour)))
}

// rowWork is how many elements a row is multiplied with: in all steps, and in the one with the most. Logits are of few
// rows.
type rowWork struct{ all, most float64 }

func rowWorkOf(prog *op.Program) (w rowWork) {
	for i := range prog.Steps {
		product, ok := prog.Steps[i].Op.(*op.MatMul)
		if !ok || product.Parts[0].X.Of.Kind != op.Row {
			continue
		}
		n := 0.0
		for j := range product.Parts {
			n += float64(product.Parts[j].W.Width)
		}
		w.all, w.most = w.all+n, max(w.most, n)
	}
	return w
}

// mostRows returns how many rows of all a pass should have at most. It follows from the largest pass so far, whose time
// grows with its rows in proportion at most; before there is one of some rows, from what a slow device may be expected
// to do. Fewer than all are a power of two: times vary, and each other number would be a shape to record.
func (p *pacing) mostRows(all int) int {
	w := p.work
	if w.most == 0 {
		return all
	}
	rows := 1.0
	if k := p.known; k.rows > 0 {
		rows = max(rows, longestStep.Seconds()*float64(k.rows)/(max(k.took.Seconds(), 1e-9)*w.most/w.all))
	}
	if p.known.rows < guessedRows {
		guessed := longestStep.Seconds() * slowPace / w.most
		if guessed < float64(all) {
			guessed = min(guessed, guessedRows)
		}
		rows = max(rows, guessed)
	}
	if rows >= float64(all) {
		return all
	}
	return 1 << (bits.Len(uint(rows)) - 1)
}

// MostRows returns how many rows a pass should have at most, so that no step of it keeps the device busy for too long.
func (e *Exec) MostRows() int { return e.pace.mostRows(e.plan.Sizes.Rows) }

// DecodeSteps returns how many steps the next Decode of so many sequences should have, of most.
func (e *Exec) DecodeSteps(seqs, most int) int { return e.pace.bursts[seqs].next(most) }

// Waited returns how long all calls of Forward and Decode so far have waited for the device.
func (e *Exec) Waited() time.Duration { return e.pace.waited }

// LongestSubmission returns the longest time that the device took for one submission of a Forward or Decode since the
// last call.
func (e *Exec) LongestSubmission() time.Duration {
	longest := e.pace.longest
	e.pace.longest = 0
	return longest
}
