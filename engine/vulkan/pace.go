package vulkan

import (
	"math/bits"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// A pass over many rows may take seconds on a slow device. Systems reset a device that is busy with one submission for
// about two seconds. Other work on the device waits for the end of a submission, and nobody can cancel one. So a long
// pass is divided into submissions. The batch stays whole, and so does the speed: the dispatches are the same as in one
// submission.
const (
	longestSubmission = 250 * time.Millisecond
	goodSubmission    = longestSubmission / 2
	shortSubmission   = longestSubmission / 8 // submissions that take less on average are too many
	dangerous         = 4 * longestSubmission
	maxRest           = 63
)

// A step of a pass is one or two dispatches, and only fewer tokens make it shorter. So a pass takes no more tokens than
// keep its longest step well below the time after which systems reset a device.
const (
	longestStep = 2 * longestSubmission
	slowPace    = 10e9 // matrix elements a second that a device multiplies with, if nobody has measured it: 20 GFLOPS
	guessedRows = 64   // rows at most of a pass that goes by slowPace alone
)

// unmeasuredPace is the time for one element on a device that nobody has measured. Drivers that emulate a device on a
// single busy core are faster.
const unmeasuredPace = 10 * time.Nanosecond

// pacing owns how long a submission may be. It decides into how many submissions a pass is divided, how many rows a
// pass has at most, how many steps a Decode has, and how long a wait for a pass may take. It learns from the passes
// that ran.
type pacing struct {
	known           known
	work            rowWork
	now             func() time.Time // time.Now but in tests
	waited, longest time.Duration    // see Waited and LongestSubmission
	bursts          map[int]burst    // by number of sequences
}

// burst is the number of steps of the last Decode, and the time of one step.
type burst struct {
	steps int
	step  time.Duration
}

// longestBurst is the longest time that a Decode should take. Longer ones would make text appear in jerks, and other
// work wait.
const longestBurst = 45 * time.Millisecond

// next returns how many of n steps the next Decode should take: as many as fit longestBurst, but at most twice as many
// as the last Decode took.
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

// known is the time of a pass that ran: the one with the most rows so far, or one that took less time for a row.
type known struct {
	rows int
	took time.Duration
	work float64 // see expected
}

// learn replaces the known pass by p if p has as many rows, or took less time for a row. A pass may have been held up,
// for example because the computer slept. So a pass with less time for a row counts too, however few rows it has.
func (k *known) learn(p known) {
	if p.rows >= k.rows || float64(p.took)*float64(k.rows) < float64(k.took)*float64(p.rows) {
		*k = p
	}
}

// submissionsFor returns into how many submissions of a good length a pass should be divided that takes so long.
func submissionsFor(took time.Duration, items int) int {
	return min(max(int((took+goodSubmission-1)/goodSubmission), 1), items)
}

// submissions returns into how many submissions a pass is divided that never ran. Its time grows with its rows, at most
// in proportion. Before any pass ran, each item is a submission.
func (p *pacing) submissions(rows, items int) int {
	k := p.known
	if k.rows == 0 {
		return items
	}
	return submissionsFor(k.took*time.Duration(max(rows, k.rows))/time.Duration(k.rows), items)
}

// better returns how many submissions the pass should have, by its last run. Submissions that took dangerously long are
// divided at once. Others are divided if two runs in a row took too long, and joined if they are far too short. Each
// change makes the next one wait for more runs.
func (p *pass) better() int {
	n, least := len(p.submissions), 1
	if p.hold > 0 {
		least = 2
	}
	switch {
	case p.longest <= dangerous && p.runs < p.rest:
	case p.longest > dangerous, p.over > 1:
		return min(max(n+1, submissionsFor(p.longest*time.Duration(n), p.items)), p.items)
	case p.total > 0 && n > least && p.total < shortSubmission*time.Duration(n):
		return min(max(submissionsFor(p.total, p.items), least), n)
	}
	return n
}

// ran notes the time of a run of a pass over so many rows, and of its longest submission.
func (p *pacing) ran(done *pass, rows int, total, longest time.Duration) {
	done.total, done.longest, p.longest = total, longest, max(p.longest, longest)
	done.runs++
	if done.over++; longest <= longestSubmission {
		done.over = 0
	}
	p.known.learn(known{rows, total, done.work})
}

// expected returns how long so much work (kernel.Effort) should take, by the speed of the known pass.
func (p *pacing) expected(work float64) time.Duration {
	pace := float64(unmeasuredPace)
	if p.known.work > 0 {
		pace = float64(p.known.took) / p.known.work
	}
	return time.Duration(min(work*pace, float64(24*time.Hour)))
}

// rowWork is the number of matrix elements that a row is multiplied with: in all steps, and in the step with the most.
// The head is left out, since few rows have logits.
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

// mostRows returns how many of all rows a pass should have at most. The number follows from the known pass, whose time
// grows with its rows at most in proportion. Before a pass of some rows is known, it follows from the speed of a slow
// device. A number below all is a power of two, since times vary and each number is a shape to record.
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

// DecodeSteps returns how many steps the next Decode of so many sequences should have. It is at most most.
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
