package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
)

// What a run of the command is at when it makes a call.
const (
	phaseLoad = iota
	phaseTune // and what is between its trials
	phaseRestore
	phasePrefill
	phaseDecode
	phaseSave
	phaseClose
	phases
)

var phaseNames = [phases]string{"load", "tune", "restore", "prefill", "decode", "save", "close"}

// faultScenario is a command line whose calls fail, and how many of 100 faults fall upon its phases.
type faultScenario struct {
	name   string
	large  bool // for long runs alone
	varies bool // what it writes, by the time, or by the kernels that a device is given, whose figures differ in rounding
	args   []string
	shares [phases]int
}

const faultTokens = "11,7,23,5,90,41"

// faultScenarios return the runs. state is a file to begin with, and a state is written to the file "state" of the
// current folder. tiny is the model that is compared: the reference would take most of the time with a larger one.
func faultScenarios(state, tiny string) []faultScenario {
	return []faultScenario{
		{name: "generate", args: []string{"generate", "Once upon", "-n", "6", "--temperature", "0", "--device", "gpu"},
			shares: [phases]int{phaseLoad: 18, phasePrefill: 10, phaseDecode: 14, phaseClose: 5}},
		// So many tokens that they are more than one submission, wherever they are drawn.
		{name: "generate, tuned", args: []string{"generate", "Once upon", "-n", "40", "--temperature", "0", "--device", "gpu", "--tuning", "on"},
			shares: [phases]int{phaseTune: 14, phaseDecode: 2}},
		{name: "generate, any device", args: []string{"generate", "Once upon", "-n", "6", "--temperature", "0"}, shares: [phases]int{phaseLoad: 5}},
		{name: "logits", args: []string{"logits", "--tokens", faultTokens, "--chunk", "4", "--all", "--json", "--state-in", state, "--state-out", "state", "--device", "gpu"},
			shares: [phases]int{phaseLoad: 3, phaseRestore: 11, phasePrefill: 5, phaseSave: 11, phaseClose: 2}},
		{name: "devices", args: []string{"devices", "--json"}, shares: [phases]int{phaseLoad: 2}},
		{name: "compare", varies: true, args: []string{"compare", "--tokens", "3,1", "--device", "gpu", "--json", "--model", tiny}, shares: [phases]int{phaseLoad: 1, phasePrefill: 4}},
		{name: "bench", large: true, varies: true, args: []string{"bench", "--pp", "4", "--tg", "2", "--gen", "2", "--repeat", "1", "--ops", "--device", "gpu"},
			shares: [phases]int{phaseLoad: 1, phaseTune: 1, phasePrefill: 2}},
		{name: "0.1b", large: true, args: []string{"logits", "--tokens", faultTokens, "--chunk", "4", "--json", "--state-out", "state", "--device", "gpu", "--model", "synthetic:0.1b"},
			shares: [phases]int{phaseLoad: 3, phasePrefill: 2, phaseSave: 2, phaseClose: 1}},
		{name: "0.1b, tuned", large: true, args: []string{"generate", "--tokens", faultTokens, "-n", "3", "--temperature", "0", "--device", "gpu", "--tuning", "on", "--model", "synthetic:0.1b"},
			shares: [phases]int{phaseTune: 2, phaseDecode: 1}},
	}
}

// faultsEnv is how many faults TestFaults tries.
const faultsEnv = "RWKV_FAULTS"

func faultCount(t *testing.T) int {
	t.Helper()
	text := os.Getenv(faultsEnv)
	if text == "" {
		if testing.Short() {
			return 20
		}
		return 100
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s: want a number of faults, got %q", faultsEnv, text)
	}
	return n
}

// Whichever Vulkan call fails, and however: either the command ends with one line of error and the status of device
// trouble, having written nothing wrong, or it goes on and writes the same. It leaves no object, no half of a file, and
// comes to its end.
func TestFaults(t *testing.T) {
	if os.Getenv(faultChildEnv) != "" {
		runFaults(t)
		return
	}
	vulkanDevice(t)
	total := faultCount(t)
	large := total >= 500
	state := filepath.Join(t.TempDir(), "state.st")
	if r := cli("logits", "--tokens", "3,1,4", "--state-out", state, "--device", "cpu", "--quiet"); r.status != statusDone {
		t.Fatal(r)
	}
	child := startFaults(t, faultvk.New(t))
	var sum tally
	ran := 0
	for _, s := range faultScenarios(state, tinyModel(t, nil)) {
		if s.large && !large {
			continue
		}
		ran++
		t.Run(s.name, func(t *testing.T) {
			ran--
			sum.add(t, &s, child.try(t, &s, total))
		})
	}
	t.Log(sum)
	few := total < 50 // all of few faults may be noticed

	if ran == 0 && (sum.failed < sum.fired/2 || sum.fired == sum.failed && !few) { // else not all were asked for
		t.Errorf("want most faults noticed and some survived, got %s", sum)
	}
}

// tally counts faults that happened, and runs that ended with an error.
type tally struct{ fired, failed int }

func (c tally) String() string {
	return fmt.Sprintf("%d faults: %d errors, %d went on", c.fired, c.failed, c.fired-c.failed)
}

func (c *tally) add(t *testing.T, s *faultScenario, byPhase [phases]tally) {
	for phase, n := range byPhase {
		if s.shares[phase] > 0 {
			t.Logf("%-22s %-8s %s", s.name, phaseNames[phase], n)
		}
		c.fired, c.failed = c.fired+n.fired, c.failed+n.failed
	}
}

// try runs a scenario with its share of so many faults.
func (c *faultChild) try(t *testing.T, s *faultScenario, total int) (sum [phases]tally) {
	c.run(t, faultCase{Args: s.args}) // compiles kernels
	plain := c.run(t, faultCase{Args: s.args})
	if plain.Status != statusDone || plain.Report.Live != "" {
		t.Fatalf("without a fault: %+v", plain)
	}
	trace := func(r *faultAnswer) []faultvk.Call {
		if s.args[0] == "logits" {
			phased(r.Trace)
		}
		return r.Trace
	}
	calls := trace(&plain)
	rng := rand.New(rand.NewPCG(7, uint64(total)))
	for phase, share := range s.shares {
		n, count := (share*total+50)/100, &sum[phase]
		list := pick(rng, calls, phase, 4*n)
		for tries := 0; count.fired < n && (len(list) > 0 || tries < 4); list = list[1:] {
			if len(list) == 0 { // times decide upon the calls, and this machine's have changed
				tries++
				again := c.run(t, faultCase{Args: s.args})
				if list = pick(rng, trace(&again), phase, 4*n); len(list) == 0 {
					break
				}
			}
			f := list[0]
			r := c.run(t, faultCase{Args: s.args, Fault: f})
			if why := r.wrong(&plain, s.varies); why != "" {
				t.Errorf("%s: %+v: %s\n%v", phaseNames[phase], f, why, &r)
			}
			if r.Report.Fired { // what times decide upon may have made fewer calls this time
				count.fired++
			}
			if r.Status != statusDone {
				count.failed++
			}
		}
		if count.fired < (n+1)/2 {
			t.Errorf("%s: only %d of %d faults happened", phaseNames[phase], count.fired, n)
		}
	}
	return sum
}

// phased tells apart what logits does not tell of: once the model is loaded, the first thing done is to restore a
// state, or to give the slot its initial one, and the last to save one.
func phased(calls []faultvk.Call) {
	find := func(from, step int, what string) int {
		for ; from >= 0 && from < len(calls); from += step {
			if calls[from].Function == what {
				return from
			}
		}
		return 0
	}
	mark := func(from, to int, phase byte) {
		for i := from; i < to; i++ {
			calls[i].Phase = phase
		}
	}
	loaded := slices.IndexFunc(calls, func(c faultvk.Call) bool { return c.Phase != phaseLoad })
	mark(loaded, find(loaded, 1, "vkWaitForFences")+1, phaseRestore)
	saved := find(len(calls)-1, -1, "vkWaitForFences")
	mark(find(saved, -1, "vkCreateCommandPool"), saved+1, phaseSave)
	mark(saved+1, len(calls), phaseClose)
}

// pick returns faults in calls of a phase, of each function about as many.
func pick(rng *rand.Rand, calls []faultvk.Call, phase, n int) (list []faultvk.Fault) {
	byFunction := map[string][]int{}
	var names []string
	count := map[string]int{} // of calls so far
	for _, c := range calls {
		count[c.Function]++
		if int(c.Phase) != phase {
			continue
		}
		if byFunction[c.Function] == nil {
			names = append(names, c.Function)
		}
		byFunction[c.Function] = append(byFunction[c.Function], count[c.Function])
	}
	for i := 0; len(names) > 0 && i < n; i++ {
		if i%len(names) == 0 {
			rng.Shuffle(len(names), func(a, b int) { names[a], names[b] = names[b], names[a] })
		}
		name := names[i%len(names)]
		results := faultvk.Results(name)
		f := faultvk.Fault{Function: name, At: byFunction[name][rng.IntN(len(byFunction[name]))], Result: results[rng.IntN(len(results))]}
		if rng.IntN(5) < 2 {
			f.Mode = faultvk.Sticky
		}
		list = append(list, f)
	}
	return list
}
