package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// trace is what servers did with sessions.
type trace struct {
	About    string    `json:"about,omitempty"`
	Replicas int       `json:"replicas"`
	Stood    float64   `json:"stood"` // seconds in which this program did not run, at most at once: others had the processor
	Sessions []session `json:"sessions"`
}

// target is servers that work together.
type target struct {
	urls []string
	key  string
	http *http.Client
}

// measure sends sessions to servers, each at its time, and notes what came in them.
func (t *target) measure(ctx context.Context, sessions []session) *trace {
	began := time.Now()
	ctx, end := context.WithCancel(ctx)
	defer end()
	stood := make(chan time.Duration, 1)
	watching, stop := context.WithCancel(ctx)
	go func() { stood <- standstill(watching) }()
	var all sync.WaitGroup
	for i := range sessions {
		all.Add(1)
		go func() {
			defer all.Done()
			s := &sessions[i]
			pause(ctx, time.Until(began.Add(seconds(s.Start))))
			t.talk(ctx, s, uint64(i))
		}()
	}
	all.Wait()
	stop()
	return &trace{Replicas: len(t.urls), Stood: (<-stood).Seconds(), Sessions: sessions}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// standstill returns the longest time for which a goroutine that wants to run every 10 ms did not.
func standstill(ctx context.Context) (longest time.Duration) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-ctx.Done():
			return longest
		case <-tick.C:
		}
		longest, last = max(longest, time.Since(last)), time.Now()
	}
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// talk holds a session. It ends at the first answer that is not whole.
func (t *target) talk(ctx context.Context, s *session, seed uint64) {
	var chat []message
	seen := 0
	r := rand.New(rand.NewPCG(seed, 16)) // numbers that a seed gives again
	for i := range s.Turns {
		one := &s.Turns[i]
		pause(ctx, seconds(one.Think))
		chat = append(chat, message{"user", text(r, one.New)})
		answer, err := t.ask(ctx, one, chat)
		if err != nil {
			one.Lost = true
			s.Turns = s.Turns[:i+1]
			return
		}
		one.New = max(one.All-seen, 1)
		seen = one.All + one.Answer
		chat = append(chat, message{"assistant", answer})
	}
}

// text is a message of about so many tokens.
func text(r *rand.Rand, tokens int) string {
	words := strings.Fields("the a little big red old happy girl boy dog cat bird tree house lake day sun went saw had liked played with and to in on")
	var b strings.Builder
	for range tokens {
		b.WriteString(words[r.IntN(len(words))] + " ")
	}
	return b.String()
}

// ask sends a chat to the front of a turn, and notes the times and the tokens of the answer.
func (t *target) ask(ctx context.Context, one *turn, chat []message) (answer string, err error) {
	body, err := json.Marshal(map[string]any{"messages": chat, "max_tokens": one.Answer, "temperature": 1, "stream": true,
		"stream_options": map[string]any{"include_usage": true}})
	if err != nil {
		return "", err
	}
	began := time.Now()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.urls[one.Front%len(t.urls)]+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/json")
	if t.key != "" {
		r.Header.Set("Authorization", "Bearer "+t.key)
	}
	got, err := t.http.Do(r)
	if err != nil {
		return "", err
	}
	defer got.Body.Close() // it was read to its end, or is of no use
	if got.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(got.Body, 300)) // for the error alone
		return "", fmt.Errorf("%s: %s", got.Status, said)
	}
	if answer, err = one.read(got.Body, began); err == nil {
		one.Took = time.Since(began).Seconds()
	}
	return answer, err
}

// read reads the events of an answer.
func (one *turn) read(body io.Reader, began time.Time) (string, error) {
	var answer strings.Builder
	usage := false
	for lines := bufio.NewScanner(body); lines.Scan(); {
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		switch {
		case !found:
			continue
		case data == "[DONE]" && usage:
			return answer.String(), nil
		case data == "[DONE]":
			return "", errors.New("the stream has no usage")
		}
		var e struct {
			Choices []struct{ Delta struct{ Content string } }
			Usage   *struct {
				Prompt int `json:"prompt_tokens"`
				Drawn  int `json:"completion_tokens"`
			}
			Error *struct{ Message string }
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return "", fmt.Errorf("event: %w", err)
		}
		if e.Error != nil {
			return "", errors.New(e.Error.Message)
		}
		for _, c := range e.Choices {
			answer.WriteString(c.Delta.Content)
		}
		if one.First == 0 && answer.Len() > 0 {
			one.First = time.Since(began).Seconds()
		}
		if e.Usage != nil {
			usage, one.All, one.Answer = true, e.Usage.Prompt, e.Usage.Drawn
		}
	}
	return "", errors.New("the stream ends without [DONE]")
}
