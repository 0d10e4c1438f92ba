package replicas

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/cluster/clustertest"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// Links between replicas and the server are cut and stall, that of the front as well. What a stalled link carries comes
// late, of runs that were given up too. Each answer comes whole, with every token once.
func TestLinks(t *testing.T) {
	t.Parallel() // it waits most of the time
	s := clustertest.Start(t, 1)
	to := strings.TrimPrefix(s.URL(), "nats://")
	var links []*clustertest.Link
	var all []*replica
	for range 3 {
		l := clustertest.NewLink(t, to)
		links, all = append(links, l), append(all, start(t, l.URL(), 5*time.Millisecond))
	}
	front := all[0]
	opened(t, front)
	meet(t, all...)
	front.words.slots.Store(1) // so most goes to others
	faults := 8
	if testing.Short() {
		faults = 3
	}
	stop := make(chan struct{})
	var breaker sync.WaitGroup
	breaker.Add(1)
	go func() {
		defer breaker.Done()
		defer close(stop)
		for tries := 0; front.resumed.Load() == 0 && tries < 20; tries++ {
			l := links[1+begins(all[1:]...)]
			l.Stall()
			time.Sleep(3 * time.Second) // longer than calls wait: what the front knows to have begun goes on elsewhere
			l.Heal()
		}
		for i := range faults {
			l, pause := links[[]int{1, 2, 0}[i%3]], time.Duration(rand.IntN(3000))*time.Millisecond
			if rand.IntN(2) == 0 {
				l.Cut()
			} else {
				l.Stall()
			}
			time.Sleep(pause)
			l.Heal()
			time.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond)
		}
	}()
	var wg sync.WaitGroup
	answers := make([]int, 6)
	for i := range answers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for over := false; !over; answers[i]++ {
				select {
				case <-stop:
					over = true
				default:
				}
				q := api.Request{Segments: say(fmt.Sprintf("Chat %d, question %d?", i, answers[i])), Max: 50, Logprobs: i%2 == 1}
				got, err := front.ask(t.Context(), q)
				if err != nil {
					t.Errorf("%d.%d: %v behind %q", i, answers[i], err, got.text)
				} else if diff := same(got, want(t, q)); diff != "" {
					t.Errorf("%d.%d: %s", i, answers[i], diff)
				}
			}
		}()
	}
	wg.Wait()
	breaker.Wait()
	t.Logf("answers %v: %d calls away, %d here, %d answers resumed", answers, front.away.Load(), front.here.Load(), front.resumed.Load())
	if front.resumed.Load() == 0 {
		t.Error("no answer went on in another run")
	}
	meet(t, all...)
}

// begins waits until one of some replicas begins an answer, and returns which: a conversation's beginning may have all
// go to the same one.
func begins(list ...*replica) int {
	before := make([]int, len(list))
	for ; ; time.Sleep(time.Millisecond) {
		for i, r := range list {
			now := r.words.Open()
			if now > before[i] {
				return i
			}
			before[i] = now
		}
	}
}
