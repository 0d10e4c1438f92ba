package tune

import (
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// clearly reports whether d is less than the time known of another form by more than noise.
func clearly(d, known time.Duration) bool { return d < known*19/20 }

// Alike reports whether two results are the same but for the order of sums. Elements that a run leaves as they were
// before do not count for the size of a result, since they may be larger.
func Alike(got, want, before []float32) bool {
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

// A measurement repeats the work until a submission's own time and a short disturbance no longer matter. If a form is
// clearly slower than another, the measurement ends as soon as the submission's own time no longer matters.
const (
	trialTime = 4 * time.Millisecond
	clearTime = trialTime / 4
	trialRuns = 3
	trialLong = 10 * trialTime                            // a run of this length is not repeated
	trialMost = int(trialTime * 5 / 4 / time.Microsecond) // repetitions at most of short work
)

// TimedBy returns how long one run takes of what run does times over. The runs take turns over so many different data.
// If one clearly takes longer than limit, TimedBy ends early, with a coarse time.
func TimedBy(run func(times int) (time.Duration, error), turns int, limit time.Duration) (time.Duration, error) {
	for times := 1; ; {
		best, err := run(times)
		if err != nil {
			return 0, err
		}
		each := best / time.Duration(times)
		if best >= trialTime || times >= trialMost || best >= clearTime && limit > 0 && each > 3*limit/2 {
			return each, nil
		}
		times = min(times*8, max(times+1, int(trialTime*5/4/max(each, time.Microsecond))))
		if times%turns != 0 && each*time.Duration(times+turns) < trialLong {
			times += turns - times%turns
		}
	}
}

// Shortest returns the shortest time of some calls of run.
func Shortest(run func() error) (best time.Duration, err error) {
	for i := range trialRuns {
		start := time.Now()
		if err := run(); err != nil {
			return 0, err
		}
		d := time.Since(start)
		if i == 0 || d < best {
			best = d
		}
		if d >= trialLong {
			break
		}
	}
	return best, nil
}

// A device that was idle, and a driver that has just made a kernel, need some time to reach their speed. Runs before
// that do not count.
const (
	turnsWarmUp = 60 * time.Millisecond
	turnsTime   = 120 * time.Millisecond
	turnsLeast  = 3
)

// ByTurns runs two forms by turns, on a device that may sleep at first. It returns the form with the shorter shortest
// run. The second form has to win clearly: if the two are alike, noise must not choose.
func ByTurns(forms [2]Form, run func(Form) (time.Duration, error)) (best Form, took time.Duration, err error) {
	var shortest [2]time.Duration
	var warm, counted time.Duration
	for turns := 0; turns < turnsLeast || counted < turnsTime; {
		var both time.Duration
		for i, f := range forms {
			d, err := run(f)
			if err != nil {
				return Form{}, 0, err
			}
			if both += d; turns == 0 || d < shortest[i] {
				shortest[i] = d
			}
		}
		if warm < turnsWarmUp {
			warm += max(both, time.Microsecond)
			continue
		}
		turns, counted = turns+1, counted+max(both, time.Microsecond)
	}
	if shortest[1] < shortest[0]*3/4 {
		return forms[1], shortest[1], nil
	}
	return forms[0], shortest[0], nil
}
