package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// mix says what clients ask for.
type mix struct {
	tokens int     // most tokens of an answer
	turns  int     // most turns of a chat
	goOn   float64 // share of chats that go on after an answer
	whole  float64 // share of completions among what begins anew
	leave  float64 // share of answers that the client leaves
}

// client asks for one answer after the other.
type client struct {
	mix
	random *rand.Rand
	chat   []message // so far; empty if the next one is new
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

func newClient(m mix, seed uint64, number int) *client {
	return &client{mix: m, random: rand.New(rand.NewPCG(seed, uint64(number)))} // numbers that a seed gives again
}

// run asks until ctx is done. Answers under way then end by themselves, unless stop is done.
func (c *client) run(ctx, stop context.Context, t *target, tell func(*outcome)) {
	for ctx.Err() == nil {
		a := c.next()
		o := t.do(stop, a)
		if stop.Err() != nil {
			return // who measures has given up
		}
		c.heard(o)
		tell(o)
		if o.retry > 0 {
			pause(ctx, o.retry)
		} else if o.err != nil {
			pause(ctx, time.Second/10) // a server that fails at once is not asked ten thousand times
		}
	}
}

// pause waits for a while, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// next returns what is asked next.
func (c *client) next() *ask {
	a := &ask{body: map[string]any{"stream": true, "stream_options": map[string]any{"include_usage": true},
		"max_tokens": 1 + c.random.IntN(c.tokens), "seed": c.random.Int64N(1 << 31)}}
	switch {
	case len(c.chat) > 0:
		a.kind, a.path = "turn", "/v1/chat/completions"
		c.say(c.pick("And what did %s do then?", "Why did %s do that?", "Tell me more of %s, please.", "Was %s happy at the end?"))
	case c.random.Float64() < c.whole:
		a.kind, a.path = "completion", "/v1/completions"
		a.body["prompt"] = c.pick("Once upon a time there was %s.", "One day %s went to the lake.", "In a small house lived %s.") +
			strings.Repeat(" It was a warm day and the sun was high.", c.random.IntN(8))
	default:
		a.kind, a.path = "chat", "/v1/chat/completions"
		if c.random.IntN(2) == 0 {
			c.chat = append(c.chat, message{"system", "You tell stories to small children."})
		}
		c.say(c.pick("Tell me a story of %s.", "Please write about %s and a friend.", "What do you know of %s?"))
	}
	if a.kind != "completion" {
		a.body["messages"] = c.chat
	}
	if c.random.Float64() < c.leave {
		a.leave, a.pieces = true, c.random.IntN(12)
		a.after = time.Duration(c.random.Int64N(int64(time.Second)))
	}
	return a
}

func (c *client) say(text string) { c.chat = append(c.chat, message{"user", text}) }

// pick returns one of the sentences, about somebody.
func (c *client) pick(sentences ...string) string {
	kinds, who := []string{"little", "brave", "old", "clever", "sad", "tiny", "kind", "lazy"},
		[]string{"fox", "girl", "bear", "bird", "boy", "frog", "cat", "dog", "rabbit", "mouse"}
	somebody := "the " + kinds[c.random.IntN(len(kinds))] + " " + who[c.random.IntN(len(who))]
	return fmt.Sprintf(sentences[c.random.IntN(len(sentences))], somebody)
}

// heard takes an answer: a chat goes on from it, or the next one is new.
func (c *client) heard(o *outcome) {
	if o.kind == "completion" {
		return
	}
	turns := 0
	for _, m := range c.chat {
		if m.Role == "user" {
			turns++
		}
	}
	if o.err != nil || o.left || turns >= c.turns || c.random.Float64() >= c.goOn {
		c.chat = nil
		return
	}
	c.chat = append(c.chat, message{"assistant", o.text})
}
