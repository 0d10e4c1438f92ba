package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rwkv-gpu/rwkv-gpu/cluster/clustertest"
)

// Three replicas that have equal shares of one core do at least 2.7 times what one process does that has such a share and
// works by itself, and nearly all turns go where the state is. RWKV_CLUSTER_SHARE is the share, such as 0.3, and
// RWKV_CLUSTER_ROUNDS the number of rounds (3), of which -v prints the medians. Each server has eight clients, whose
// conversations have some turns. NATS servers and clients are no part of the shares. Three processes that work apart tell
// what the machine makes of three shares: a core that is idle most of the time may be slower for that.
func TestServeShares(t *testing.T) {
	share, err := strconv.ParseFloat(os.Getenv("RWKV_CLUSTER_SHARE"), 64)
	if err != nil || share <= 0 || share > 0.33 {
		t.Skip("RWKV_CLUSTER_SHARE, of a core for each of three replicas, is not set: a number up to 0.33")
	}
	rounds, err := strconv.Atoi(os.Getenv("RWKV_CLUSTER_ROUNDS"))
	if err != nil {
		rounds = 3
	}
	group := func(args ...string) (all []*serving) {
		for range 3 {
			s := startOnCore(t, append([]string{"--device", "cpu"}, args...)...)
			giveShare(t, s.Process.Pid, share)
			all = append(all, s)
		}
		return all
	}
	apart := group()
	together := group("--cluster", clustertest.Start(t, 3).URL(), "--cluster-name", "test")
	for _, s := range together {
		s.works(t, "together")
	}
	phases := []*phase{
		{name: "one process, a common system prompt", servers: apart[:1], common: true},
		{name: "one process, own ones", servers: apart[:1]},
		{name: "three apart, a common one", servers: apart, common: true},
		{name: "three together, a common one, clients stay", servers: together, common: true},
		{name: "three together, own ones, clients stay", servers: together},
		{name: "three together, a common one, any server", servers: together, common: true, roam: true},
		{name: "three together, own ones, any server", servers: together, roam: true},
	}
	for _, p := range []*phase{{servers: apart}, {servers: together, roam: true}} { // which begin slowly
		p.name = "before all"
		p.play(t, math.MaxUint64)
	}
	usual := phases[3]
	for round := range rounds {
		for _, p := range phases {
			p.play(t, uint64(round))
		}
	}
	for _, p := range phases {
		base := phases[0]
		if !p.common {
			base = phases[1]
		}
		t.Logf("%-44s %6.0f tokens/s, %.2f times one; %6.0f in a second of processor; %4.0f %% computed away, %5.1f %% of %.0f turns went where the state is",
			p.name, median(p.speed), median(p.speed)/median(base.speed), median(p.dense), 100*p.away/max(p.away+p.here, 1),
			100*p.warm/max(p.warm+p.cold, 1), p.warm+p.cold)
		if p == usual && median(p.speed) < 2.7*median(base.speed) {
			t.Errorf("%s: want 2.7 times what one process does", p.name)
		}
		if p.warm < 0.95*(p.warm+p.cold) {
			t.Errorf("%s: %.0f turns went where the state is, %.0f elsewhere", p.name, p.warm, p.cold)
		}
	}
	for _, s := range append(apart, together...) {
		if status := s.end(t, syscall.SIGTERM); status != 0 {
			t.Errorf("status %d: %s", status, s.log)
		}
	}
}

func median(of []float64) float64 {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}

// startOnCore starts a server whose threads run on the first processor that this process may use.
func startOnCore(t *testing.T, args ...string) *serving {
	t.Helper()
	runtime.LockOSThread() // whose processors a child gets
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	for i := 0; one.Count() == 0; i++ {
		if before.IsSet(i) {
			one.Set(i)
		}
	}
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.SchedSetaffinity(0, &before); err != nil {
			t.Error(err)
		}
	}()
	return startServing(t, args...)
}

// giveShare gives a process a share of a core, by a control group (version 1) that ends with the test.
func giveShare(t *testing.T, pid int, share float64) {
	t.Helper()
	dir := filepath.Join("/sys/fs/cgroup/cpu", fmt.Sprint("rwkv-gpu-test-", pid))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skip("no control group can be made:", err)
	}
	t.Cleanup(func() { // once the process is gone, which the test's clean-up kills before
		clustertest.Until(t, "the control group is gone", func() error { return os.Remove(dir) })
	})
	const period = 10_000 // microseconds: short, so that tokens come evenly
	for _, w := range [][2]string{{"cpu.cfs_period_us", fmt.Sprint(period)}, {"cpu.cfs_quota_us", fmt.Sprint(int(share * period))},
		{"cgroup.procs", fmt.Sprint(pid)}} {
		if err := os.WriteFile(filepath.Join(dir, w[0]), []byte(w[1]), 0o644); err != nil {
			t.Skip("no share can be given:", err)
		}
	}
}

// phase is a number of servers with clients, which play several times.
type phase struct {
	name    string
	servers []*serving
	common  bool // reports whether all conversations have the same system prompt
	roam    bool // reports whether each turn goes to any server, not to that of the client

	speed, dense           []float64 // tokens in a second, and in a second of processor, of each time
	warm, cold, here, away float64   // as the servers count
}

// Times of a phase.
const (
	warmUp  = 2 * time.Second
	playing = 10 * time.Second
	clients = 8 // of each server
)

// heard is an answer as a client has it.
type heard struct {
	from, to time.Time
	tokens   int
	err      error
}

// play has clients talk for a while.
func (p *phase) play(t *testing.T, seed uint64) {
	t.Helper()
	before := p.count(t)
	from := time.Now().Add(warmUp)
	to := from.Add(playing)
	answers := make(chan heard, 1<<16)
	done := make(chan bool)
	for i := range clients * len(p.servers) {
		go func() {
			defer func() { done <- true }()
			p.talk(rand.New(rand.NewPCG(seed, uint64(i))), i, to, answers)
		}()
	}
	time.Sleep(time.Until(from))
	used := p.processor(t)
	time.Sleep(time.Until(to))
	used = p.processor(t) - used
	for range clients * len(p.servers) {
		<-done
	}
	close(answers)
	tokens := 0.0
	for a := range answers {
		if a.err != nil {
			t.Fatalf("%s: %v", p.name, a.err)
		}
		within := min(a.to.Sub(from), to.Sub(from)) - max(a.from.Sub(from), 0) // the tokens of an answer come evenly
		tokens += float64(a.tokens) * max(within.Seconds(), 0) / a.to.Sub(a.from).Seconds()
	}
	p.speed, p.dense = append(p.speed, tokens/playing.Seconds()), append(p.dense, tokens/used)
	after := p.count(t)
	p.warm, p.cold, p.here, p.away = p.warm+after[0]-before[0], p.cold+after[1]-before[1], p.here+after[2]-before[2], p.away+after[3]-before[3]
	t.Logf("%s: %.0f tokens/s, with %.3f of a core for each", p.name, tokens/playing.Seconds(), used/playing.Seconds()/float64(len(p.servers)))
}

// count returns what the servers have counted: turns that went where the state is, and others; calls that began in the
// replica asked, and in others.
func (p *phase) count(t *testing.T) (sum [4]float64) {
	t.Helper()
	for _, s := range p.servers {
		page := s.get(t, "/metrics")
		for i, name := range []string{"warm", "cold", "here", "away"} {
			if name = "rwkv_cluster_" + name + "_total"; strings.Contains(page, name) { // else it works alone
				sum[i] += metric(t, page, name)
			}
		}
	}
	return sum
}

// processor returns how many seconds of processor the servers have used.
func (p *phase) processor(t *testing.T) (seconds float64) {
	t.Helper()
	for _, s := range p.servers {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		for _, text := range fields[11:13] { // utime and stime
			ticks, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			seconds += float64(ticks) / 100
		}
	}
	return seconds
}

// talk holds conversations until a time.
func (p *phase) talk(r *rand.Rand, client int, until time.Time, answers chan<- heard) {
	const system = "You are a friendly assistant who tells stories to children. Use short sentences and simple words. Be kind, " +
		"never frighten anybody, and let each story end well. If you are asked for something else, say that you know stories only. "
	http := &http.Client{Transport: &http.Transport{}}
	defer http.CloseIdleConnections()
	for time.Now().Before(until) {
		about := "It is a sunny day."
		if !p.common {
			about = fmt.Sprintf("You talk with child %d.", r.IntN(1e9))
		}
		chat := []spoken{{"system", system + about}}
		for k := range 2 + r.IntN(5) {
			if !time.Now().Before(until) {
				return
			}
			chat = append(chat, spoken{"user", fmt.Sprintf("Tell me about fox %d and what it did on day %d.", r.IntN(1000), k+1)})
			s := p.servers[client%len(p.servers)]
			if p.roam {
				s = p.servers[r.IntN(len(p.servers))]
			}
			text, one := hear(http, s.url, chat, 40+r.IntN(120))
			answers <- one
			if one.err != nil {
				return
			}
			chat = append(chat, spoken{"assistant", text})
		}
	}
}

// hear asks for an answer.
func hear(client *http.Client, url string, chat []spoken, most int) (text string, one heard) {
	body, err := json.Marshal(map[string]any{"messages": chat, "max_tokens": most, "temperature": 1, "stream": true,
		"stream_options": map[string]any{"include_usage": true}})
	if err != nil {
		return "", heard{err: err}
	}
	one.from = time.Now()
	r, err := client.Post(url+"/v1/chat/completions", "application/json", bytes.NewReader(body))
	if err != nil {
		return "", heard{err: err}
	}
	defer r.Body.Close()
	text, one.tokens, one.err = listen(r.Body, func() {})
	one.to = time.Now()
	return text, one
}
