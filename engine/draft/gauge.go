package draft

import (
	"fmt"
	"math"
	"time"
)

const (
	mostProposals = 15  // so that a round's logits fit those of any pass
	plainTrial    = 24  // tokens drawn without the draft before the first trial
	roundTrial    = 12  // rounds whose times count before the draft may be turned off
	plainAgain    = 512 // tokens of rounds after which plain ones are timed again
	shortestRest  = 256 // tokens without the draft, before another trial; each rest is twice as long as the one before
	longestRest   = 1 << 14
	memory        = 0.97 // weight of what is one round older
	outlier       = 3    // times what was expected: more does not count, for example where the process was stopped
)

// gauge measures whether the draft pays.
type gauge struct {
	most  int
	clock func() (elapsed func() time.Duration) // in place of the engine's, in tests

	token  float64 // seconds of a plain token; 0 before the first
	tokens int     // plain ones that were timed
	warm   bool    // reports whether there was a plain burst, which may have prepared something

	tried, right float64         // proposals that were looked at, and that were right, weighted
	fit          line            // seconds of a round by its proposals
	rounds       int             // of this trial, whose times count
	lately       int             // tokens of rounds since plain ones were timed
	shapes       map[[2]int]bool // that passes had before: proposals and rows

	rest, pause int  // tokens until the next trial, and of the next rest
	told        bool // reports whether somebody was told that the draft does not pay
}

func newGauge(most int) gauge {
	return gauge{most: most, shapes: map[[2]int]bool{}, pause: shortestRest}
}

// off reports whether the draft is turned off.
func (g *gauge) off() bool { return g.rest > 0 }

// proposals returns how many ids the draft should draw in the next round; 0 for a plain burst.
func (g *gauge) proposals() int {
	switch {
	case g.off() || g.tokens < plainTrial || g.lately >= plainAgain:
		return 0
	case g.rounds < roundTrial: // two points make a line
		return []int{g.most, (g.most + 2) / 3}[g.rounds%2]
	}
	k, _ := g.best()
	return k
}

// plain notes the time of tokens drawn without the draft.
func (g *gauge) plain(tokens int, took time.Duration) {
	g.lately = 0
	if g.rest > 0 {
		if g.rest -= tokens; g.rest <= 0 { // another trial
			g.rest, g.rounds, g.fit, g.tried, g.right = 0, 0, line{}, 0, 0
		}
	}
	if !g.warm {
		g.warm = true
		return
	}
	each := took.Seconds() / float64(tokens)
	if g.token > 0 {
		each = min(each, outlier*g.token)
	}
	g.tokens += tokens
	g.token += (each - g.token) * max(float64(tokens)/float64(min(g.tokens, plainTrial)), 1.0/plainTrial)
}

// round notes a round in which so many of k proposals were right, and its time. rows are those of the main model's pass.
// It returns what is to be told, if anything.
func (g *gauge) round(k, right, rows int, took time.Duration) (tell string) {
	looked := min(right+1, k)
	g.tried, g.right = memory*g.tried+float64(looked), memory*g.right+float64(right)
	g.lately += right + 1
	if shape := [2]int{k, rows}; !g.shapes[shape] { // a device prepares for it
		g.shapes[shape] = true
		return ""
	}
	seconds := took.Seconds()
	if g.rounds >= roundTrial {
		seconds = min(seconds, outlier*g.fit.at(k, g.token))
	}
	g.fit.add(float64(k), seconds)
	if g.rounds++; g.rounds < roundTrial {
		return ""
	}
	k, gain := g.best()
	if gain >= 1 {
		return ""
	}
	g.rest, g.pause = g.pause, min(2*g.pause, longestRest)
	if g.told {
		return ""
	}
	g.told = true
	return fmt.Sprintf("the draft does not pay, so decoding goes on without it: %.0f %% of its ids are right, and a round of %d"+
		" gives %.1f tokens in the time of %.1f", 100*g.accuracy(), k, expected(g.accuracy(), k), g.fit.at(k, g.token)/g.token)
}

// accuracy returns the share of proposals that were right, of those whose predecessors were.
func (g *gauge) accuracy() float64 { return g.right / max(g.tried, 1) }

// best returns the number of proposals that gains the most, and how many times as fast decoding is with it.
func (g *gauge) best() (k int, gain float64) {
	for n := 1; n <= g.most; n++ {
		if x := expected(g.accuracy(), n) * g.token / g.fit.at(n, g.token); x > gain {
			k, gain = n, x
		}
	}
	return max(k, 1), gain
}

// expected returns the tokens of a round of k proposals, each of which is right with probability a if those before are:
// 1 + a + ... + a^k.
func expected(a float64, k int) float64 {
	if a >= 1 {
		return float64(k + 1)
	}
	return (1 - math.Pow(a, float64(k+1))) / (1 - a)
}

// line is a straight line through points, fitted by least squares. Older points weigh less.
type line struct{ n, x, xx, y, xy float64 }

func (l *line) add(x, y float64) {
	*l = line{memory*l.n + 1, memory*l.x + x, memory*l.xx + x*x, memory*l.y + y, memory*l.xy + x*y}
}

// at returns the line's value, if the line begins at least at least, and does not fall.
func (l *line) at(k int, least float64) float64 {
	if l.n == 0 {
		return least
	}
	slope := 0.0
	if d := l.n*l.xx - l.x*l.x; d > 1e-9*l.n*l.xx {
		slope = max((l.n*l.xy-l.x*l.y)/d, 0)
	}
	begin := (l.y - slope*l.x) / l.n
	if begin < least { // a round is a pass of the main model at least
		begin, slope = least, max((l.y-least*l.n)/l.x, 0)
	}
	return begin + slope*float64(k)
}
