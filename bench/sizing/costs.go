package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// costs are the service times of a cluster, in seconds.
type costs struct {
	About string `json:"about"`

	Steps []point `json:"steps"` // a step of so many sequences
	Reads []point `json:"reads"` // a pass that reads so many tokens of prompts

	Share   float64 `json:"share"`    // of the time in which a replica may run; the times here are those of a whole one
	OneCore bool    `json:"one_core"` // reports whether the host's work below takes the time of the device, as with a model on the processor

	Own    work `json:"own"`    // of a replica that has the connection and computes: HTTP, events
	Caller work `json:"caller"` // of one that has the connection, where another one computes
	Worker work `json:"worker"` // of the one that computes for another

	Keep float64 `json:"keep"` // of the replica that computes, for the record and the state behind an answer
	Take float64 `json:"take"` // of a replica that takes a state over

	NATS nats `json:"nats"`

	Sequences int     `json:"sequences"` // at once in a replica
	Queue     int     `json:"queue"`     // requests that wait in one
	Chunk     int     `json:"chunk"`     // most tokens of a pass
	Latency   float64 `json:"latency"`   // of a round with prompts, at most

	// Choices is how many of the others, taken at random, a front compares with itself: the server compares two. 0 is all of
	// them. All fronts hear the same loads at the same time, so where each compares all of them, they all choose the same few.
	Choices int `json:"choices"`
}

// work is what the host does for a turn.
type work struct {
	Request float64 `json:"request"`
	Token   float64 `json:"token"`
}

// point is a measured time.
type point struct {
	N       int     `json:"n"`
	Seconds float64 `json:"seconds"`
}

// nats are the service times of the NATS servers.
type nats struct {
	Servers int     `json:"servers"`
	Message float64 `json:"message"` // for a message that one server gives to one client
	Record  float64 `json:"record"`  // for a record that is written, of the server that leads
	State   float64 `json:"state"`   // for a state that is written, of the server that leads
	Byte    float64 `json:"byte"`    // and for each of its bytes
	Bytes   int     `json:"bytes"`   // of a state
	Hop     float64 `json:"hop"`     // from a replica to another when nothing waits
	Beat    float64 `json:"beat"`    // between two words of a replica on its load
}

// readJSON reads a file that has the fields of v and no others.
func readJSON(path string, v any) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() // it was only read
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// check returns what is wrong with the costs.
func (c *costs) check() error {
	for name, list := range map[string][]point{"steps": c.Steps, "reads": c.Reads} {
		if len(list) == 0 {
			return fmt.Errorf("%s: want at least one time, got none", name)
		}
		for i, p := range list {
			if p.N < 1 || p.Seconds <= 0 || i > 0 && p.N <= list[i-1].N {
				return fmt.Errorf("%s: want rising numbers with times above 0, got %v", name, list)
			}
		}
	}
	for name, v := range map[string]float64{"own.request": c.Own.Request, "own.token": c.Own.Token,
		"caller.request": c.Caller.Request, "caller.token": c.Caller.Token, "worker.request": c.Worker.Request,
		"worker.token": c.Worker.Token, "keep": c.Keep, "take": c.Take, "nats.message": c.NATS.Message,
		"nats.record": c.NATS.Record, "nats.state": c.NATS.State, "nats.byte": c.NATS.Byte, "nats.hop": c.NATS.Hop} {
		if !(v >= 0) {
			return fmt.Errorf("%s: want 0 or more, got %v", name, v)
		}
	}
	for name, v := range map[string]float64{"share": c.Share, "latency": c.Latency, "nats.beat": c.NATS.Beat,
		"sequences": float64(c.Sequences), "queue": float64(c.Queue), "chunk": float64(c.Chunk), "nats.servers": float64(c.NATS.Servers)} {
		if !(v > 0) {
			return fmt.Errorf("%s: want more than 0, got %v", name, v)
		}
	}
	return nil
}

// between returns the time for n of something, on the line between the points beside n. Behind the last one the line of
// the last two goes on.
func between(list []point, n int) float64 {
	if len(list) == 1 || n <= list[0].N {
		return list[0].Seconds
	}
	i := slices.IndexFunc(list, func(p point) bool { return p.N >= n })
	if i < 0 {
		i = len(list) - 1
	}
	a, b := list[i-1], list[i]
	return a.Seconds + (b.Seconds-a.Seconds)*float64(n-a.N)/float64(b.N-a.N)
}

// benched has the times of steps and passes from what bench --json wrote: tg tests of several batches, and pp tests of one
// sequence.
func (c *costs) benched(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var report struct {
		Results []struct {
			Test  string
			Batch int
			Depth int
			Rates struct{ Median float64 } `json:"tokens_per_s"`
		}
	}
	if err := json.Unmarshal(data, &report); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	var steps, reads []point
	for _, r := range report.Results {
		length, err := strconv.Atoi(strings.TrimLeft(r.Test, "ptgen"))
		switch {
		case err != nil || r.Depth != 0 || r.Rates.Median <= 0:
		case strings.HasPrefix(r.Test, "tg"):
			steps = append(steps, point{r.Batch, float64(r.Batch) / r.Rates.Median})
		case strings.HasPrefix(r.Test, "pp") && r.Batch == 1:
			reads = append(reads, point{length, float64(length) / r.Rates.Median})
		}
	}
	if len(steps) == 0 || len(reads) == 0 {
		return fmt.Errorf("%s: want tests tg of one length with several batches, and tests pp of several lengths, got %d and %d", path, len(steps), len(reads))
	}
	for _, list := range [][]point{steps, reads} {
		slices.SortFunc(list, func(a, b point) int { return a.N - b.N })
	}
	c.Steps, c.Reads = steps, reads
	return nil
}
