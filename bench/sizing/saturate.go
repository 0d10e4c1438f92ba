package main

import (
	"fmt"
	"io"
	"math"
)

// bound is what a number of replicas can do.
type bound struct {
	replicas int
	rate     float64 // most new sessions a second
	at       *result // what comes of them
	limit    string  // what keeps it from being more
}

// Times of a simulation, in seconds: until queues are as full as they will be, and of the figures.
const (
	fill  = 60
	count = 60
)

// play simulates sessions at a rate.
func (w workload) play(c costs, replicas int, rate float64) *result {
	w.Rate = rate
	return simulate(c, replicas, w.sessions(fill+count, 1), fill, fill+count)
}

// goal is what answers have to keep.
type goal struct {
	First float64 // seconds within which 95 of 100 first tokens come
	Token float64 // seconds between tokens that 95 of 100 answers keep on average
}

// kept reports whether a result keeps the goal and queues do not grow.
func (g goal) kept(r *result) bool {
	return r.Refused == 0 && len(r.First) > 0 && quantile(r.First, 0.95) <= g.First && quantile(r.Spaces, 0.95) <= g.Token &&
		float64(r.Ended) >= 0.97*float64(r.Began)-3*math.Sqrt(float64(r.Began))
}

// saturate looks for the most sessions a second that some replicas serve within the goal, to a fiftieth.
func (w workload) saturate(c costs, replicas int, g goal) (b bound) {
	b.replicas = replicas
	low, high := 0.0, float64(replicas)*w.most(c)
	for high-low > high/50 {
		rate := (low + high) / 2
		if r := w.play(c, replicas, rate); g.kept(r) {
			low, b.at = rate, r
		} else {
			high = rate
		}
		if high < 1e-6 {
			break // not even one
		}
	}
	b.rate = low
	if b.at == nil {
		b.at, b.limit = w.play(c, replicas, high), "the goal"
		return b
	}
	b.limit = limit(b.at)
	return b
}

// most is how many sessions a second a replica serves at most, if steps are as cheap as those of full batches.
func (w workload) most(c costs) float64 {
	n := c.Sequences
	token := between(c.Steps, n) / float64(n)
	if c.OneCore {
		token += min(c.Own.Token, c.Worker.Token)
	}
	mean := func(of [2]int) float64 { return float64(of[0]+of[1]) / 2 }
	return c.Share / (w.Turns * (mean(w.Answer)*token + mean(w.Prompt)*between(c.Reads, c.Chunk)/float64(c.Chunk)))
}

// limit names what is used most of what answers wait for. Nobody waits for states that are written: where these are more
// than NATS takes, some are not kept.
func limit(r *result) string {
	name := "replicas"
	switch {
	case r.Use.Messages > max(r.Use.Replicas, r.Use.Records):
		name = "messages of NATS"
	case r.Use.Records > r.Use.Replicas:
		name = "records of NATS"
	}
	if r.Use.States > 1 {
		name += "; not all states are kept"
	}
	return name
}

// table writes what numbers of replicas can do, each as soon as it is known.
func (w workload) table(to io.Writer, c costs, numbers []int, g goal) error {
	_, err := fmt.Fprintf(to, "%8s %11s %9s %12s %11s %9s %9s | %8s %8s %8s %8s  %s\n", "replicas", "sessions/s", "tokens/s", "per replica", "first p95",
		"warm", "away", "replicas", "messages", "records", "states", "limit")
	for _, n := range numbers {
		if err != nil {
			return err
		}
		b := w.saturate(c, n, g)
		r := b.at
		speed := float64(r.Tokens) / r.Seconds
		_, err = fmt.Fprintf(to, "%8d %11.3g %9.0f %12.0f %9.2f s %7.0f %% %7.0f %% | %6.0f %% %6.0f %% %6.0f %% %6.0f %%  %s\n", n, b.rate, speed,
			speed/float64(n), quantile(r.First, 0.95), 100*float64(r.Warm)/float64(max(r.Warm+r.Cold, 1)), 100*float64(r.Away)/float64(max(r.Began, 1)),
			100*r.Use.Replicas, 100*r.Use.Messages, 100*r.Use.Records, 100*r.Use.States, b.limit)
	}
	return err
}
