package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/cluster/clustertest"
)

// spoken is a message of a chat.
type spoken struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// errBroken says that an answer ended before its end: the replica that has the connection is gone.
var errBroken = errors.New("the answer broke off")

// turn asks for the next answer of a chat, as a stream, and tells when each piece came.
func turn(url string, chat []spoken, most int, came func()) (string, error) {
	body, err := json.Marshal(map[string]any{"messages": chat, "max_tokens": most, "temperature": 0, "stream": true})
	if err != nil {
		return "", err
	}
	r, err := http.Post(url+"/v1/chat/completions", "application/json", bytes.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("%w: %w", errBroken, err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(r.Body)
		if r.StatusCode == http.StatusServiceUnavailable {
			return "", fmt.Errorf("%w: %s", errBroken, text)
		}
		return "", fmt.Errorf("%s: %s", r.Status, text)
	}
	answer, _, err := listen(r.Body, came)
	return answer, err
}

// listen reads a stream to its end, and tells when each piece comes. It returns the number of tokens too, if the stream
// tells of it.
func listen(body io.Reader, came func()) (text string, tokens int, err error) {
	var answer strings.Builder
	for lines := bufio.NewScanner(body); lines.Scan(); {
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found {
			continue
		}
		if data == "[DONE]" {
			return answer.String(), tokens, nil
		}
		var event struct {
			Choices []struct{ Delta struct{ Content string } }
			Usage   struct {
				Tokens int `json:"completion_tokens"`
			}
			Error *struct{ Message string }
		}
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			return "", 0, fmt.Errorf("%q: %w", data, err)
		}
		if event.Error != nil {
			return "", 0, errors.New(event.Error.Message)
		}
		for _, c := range event.Choices {
			answer.WriteString(c.Delta.Content)
		}
		tokens = max(tokens, event.Usage.Tokens)
		came()
	}
	return answer.String(), tokens, errBroken
}

// chats are conversations, each of turns that are asked for one after the other, at the server that url tells of. A turn
// whose answer breaks off is asked for again, at another server.
type chats struct {
	n, turns, tokens, together int // tokens of an answer, at least; chats at once
	url                        func(chat, turn, try int) string

	mu    sync.Mutex
	all   [][]spoken
	waits [][]span // within each answer
	again [][]span // from the end of an answer that broke off to the first piece of the next try
}

// hold holds the conversations.
func (c *chats) hold(t *testing.T) {
	t.Helper()
	c.all = make([][]spoken, c.n)
	free := make(chan struct{}, c.together)
	var wg sync.WaitGroup
	for i := range c.n {
		free <- struct{}{}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() { <-free }()
			for k := range c.turns {
				c.all[i] = append(c.all[i], spoken{"user", fmt.Sprintf("Tell me more about fox %d and its %dth day.", i, k)})
				text, err := c.turn(i, k)
				if err != nil {
					t.Errorf("chat %d, turn %d: %v", i, k, err)
					return
				}
				c.all[i] = append(c.all[i], spoken{"assistant", text})
			}
		}()
	}
	wg.Wait()
}

// turn asks until an answer comes whole.
func (c *chats) turn(i, k int) (string, error) {
	var broke time.Time // when the answer broke off; zero if it has not, or has gone on
	for try := 0; ; try++ {
		last, within := time.Now(), []span(nil)
		text, err := turn(c.url(i, k, try), c.all[i], c.tokens+i%9, func() {
			now := time.Now()
			within, last = append(within, span{last, now}), now
			if !broke.IsZero() {
				c.mu.Lock()
				c.again, broke = append(c.again, []span{{broke, now}}), time.Time{}
				c.mu.Unlock()
			}
		})
		if err == nil {
			c.mu.Lock()
			c.waits = append(c.waits, within)
			c.mu.Unlock()
			return text, nil
		}
		if !errors.Is(err, errBroken) || try > 200 {
			return "", err
		}
		if broke.IsZero() {
			broke = time.Now()
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// span is a time from one moment to another.
type span [2]time.Time

// stops are the times in which this process did not run, since somebody stopped it or had the machine for other things.
type stops struct {
	mu  sync.Mutex
	all []span
}

const longStop = time.Second

// watch notes stops until the test ends.
func (s *stops) watch(t *testing.T) {
	end, last := t.Context().Done(), time.Now()
	go func() {
		for {
			select {
			case <-end:
				return
			case <-time.After(longStop / 10):
			}
			now := time.Now()
			if now.Sub(last) > longStop {
				s.mu.Lock()
				s.all = append(s.all, span{last, now})
				s.mu.Unlock()
			}
			last = now
		}
	}()
}

// longest returns the longest of some times, each without the stops in it.
func (s *stops) longest(of ...span) (most time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range of {
		d := one[1].Sub(one[0])
		for _, stop := range s.all {
			from, to := stop[0], stop[1]
			if from.Before(one[0]) {
				from = one[0]
			}
			if to.After(one[1]) {
				to = one[1]
			}
			d -= max(to.Sub(from), 0)
		}
		most = max(most, d)
	}
	return most
}

// spread tells of times, of each the longest of some, without stops.
func (s *stops) spread(of [][]span) string {
	if len(of) == 0 {
		return "none"
	}
	var all []int64
	for _, one := range of {
		all = append(all, s.longest(one...).Milliseconds())
	}
	slices.Sort(all)
	return fmt.Sprintf("%d, of %d ms (median), %d ms (p99), %d ms (most)", len(all), all[len(all)/2], all[len(all)*99/100], all[len(all)-1])
}

// chaos is three replicas and three NATS servers, and links between them and to clients, that a test disturbs.
type chaos struct {
	t       *testing.T
	nats    *clustertest.Servers
	args    [3][]string
	inner   [3][3]*clustertest.Link // of a replica to each NATS server
	outer   [3]*clustertest.Link    // of clients to a replica
	mu      sync.Mutex
	all     [3]*serving
	gaps    [][]span       // in which answers had no run
	faults  map[string]int // that there were
	healing sync.WaitGroup
}

func newChaos(t *testing.T, args ...string) *chaos {
	t.Helper()
	c := &chaos{t: t, nats: clustertest.Start(t, 3), faults: map[string]int{}}
	for i := range c.all {
		var urls []string
		for k, s := range c.nats.All {
			c.inner[i][k] = clustertest.NewLink(t, strings.TrimPrefix(s.URL(), "nats://"))
			urls = append(urls, c.inner[i][k].URL())
		}
		c.args[i] = append(slices.Clone(args), "--cluster", strings.Join(urls, ","), "--cluster-name", "test")
		c.outer[i] = clustertest.NewLink(t, "")
		c.begin(i)
	}
	for _, s := range c.all {
		s.works(t, "together")
	}
	return c
}

// begin starts a replica.
func (c *chaos) begin(i int) {
	s := startServing(c.t, c.args[i]...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all[i] = s
	c.outer[i].Lead(strings.TrimPrefix(s.url, "http://"))
}

// url returns where clients reach a replica.
func (c *chaos) url(i int) string { return "http://" + c.outer[i].Addr() }

var goneOn = regexp.MustCompile(`time=(\S+) .*an answer has gone on" ms=([0-9.]+)`)

// end ends a replica, and notes how long answers waited by its log.
func (c *chaos) end(i int, signal syscall.Signal) (status int) {
	c.mu.Lock()
	s := c.all[i]
	c.mu.Unlock()
	status = s.end(c.t, signal)
	for _, m := range goneOn.FindAllStringSubmatch(s.log.String(), -1) {
		at, err := time.Parse(time.RFC3339, m[1])
		ms, bad := strconv.ParseFloat(m[2], 64)
		if err != nil || bad != nil {
			c.t.Errorf("%q: %v, %v", m[0], err, bad)
		}
		c.gaps = append(c.gaps, []span{{at.Add(-time.Duration(ms * float64(time.Millisecond))), at}})
	}
	return status
}

// disturb kills a replica, stops a NATS server, or has links carry nothing for a while, until stop is closed.
func (c *chaos) disturb(stop <-chan struct{}) {
	defer c.healing.Wait()
	for n := rand.IntN(8); ; n++ { // each kind comes in a short test too
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(200+rand.IntN(600)) * time.Millisecond):
		}
		i := rand.IntN(3)
		switch n % 8 {
		case 0, 3, 5:
			c.faults["replicas killed"]++
			c.end(i, syscall.SIGKILL)
			c.begin(i)
		case 1, 6:
			c.faults["NATS servers stopped"]++
			c.nats.Stop(i)
			time.Sleep(300 * time.Millisecond)
			c.nats.Restart(i)
		case 2:
			c.faults["links from a replica to NATS"]++
			c.fail(c.inner[i][:]...)
		case 4:
			c.faults["links of replicas to a NATS server"]++
			c.fail(c.inner[0][i], c.inner[1][i], c.inner[2][i])
		case 7:
			c.faults["links to clients"]++
			c.fail(c.outer[i])
		}
	}
}

// fail cuts links or has them stall, and heals them after a while.
func (c *chaos) fail(links ...*clustertest.Link) {
	how := (*clustertest.Link).Cut
	if rand.IntN(2) == 0 {
		how = (*clustertest.Link).Stall
	}
	for _, l := range links {
		how(l)
	}
	c.healing.Add(1)
	time.AfterFunc(time.Duration(rand.IntN(3000))*time.Millisecond, func() {
		defer c.healing.Done()
		for _, l := range links {
			l.Heal()
		}
	})
}

// Three replicas with three NATS servers answer chats while replicas are killed, servers are stopped and links are cut
// or stall, again and again. Each chat is complete, and says what it says to one process that nothing disturbs.
// RWKV_CLUSTER_CHATS and RWKV_CLUSTER_TURNS make it longer, and RWKV_CLUSTER_TOKENS the answers.
func TestServeCluster(t *testing.T) {
	n, turns, tokens := fromEnv("RWKV_CLUSTER_CHATS", 16), fromEnv("RWKV_CLUSTER_TURNS", 12), fromEnv("RWKV_CLUSTER_TOKENS", 16)
	args := []string{"--device", "cpu", "--exact", "--max-sequences", "16", "--queue", "2000"}
	one := startServing(t, args...)
	want := chats{n: n, turns: turns, tokens: tokens, together: 16, url: func(int, int, int) string { return one.url }}
	began := time.Now()
	want.hold(t)
	one.end(t, syscall.SIGTERM)
	t.Logf("one process: %v", time.Since(began))
	c := newChaos(t, args...)
	var s stops
	s.watch(t)
	stop := make(chan struct{})
	var killer sync.WaitGroup
	killer.Add(1)
	go func() {
		defer killer.Done()
		c.disturb(stop)
	}()
	got := chats{n: n, turns: turns, tokens: tokens, together: 24, url: func(chat, turn, try int) string { return c.url((chat + turn + try) % 3) }}
	began = time.Now()
	got.hold(t)
	close(stop)
	killer.Wait()
	took := time.Since(began)
	other := 0
	for i := range want.all {
		if !slices.Equal(got.all[i], want.all[i]) {
			if other++; other < 10 {
				t.Errorf("chat %d: got %q, want %q", i, got.all[i], want.all[i])
			}
		}
	}
	for i := range c.all {
		if status := c.end(i, syscall.SIGTERM); status != 0 {
			t.Errorf("status %d: %s", status, c.all[i].log)
		}
	}
	t.Logf("%d turns in %v, %d chats in other words; %v; the test was stopped %d times", n*turns, took, other, c.faults, len(s.all))
	t.Logf("answers that went on in another run: %s", s.spread(c.gaps))
	t.Logf("answers that broke off and were asked for again: %s", s.spread(got.again))
	t.Logf("longest wait within each answer: %s", s.spread(got.waits))
}
