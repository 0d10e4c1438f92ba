package completion

import (
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/engine/schedule"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
)

// Completion is a request under way. Its methods may be called by any goroutine, but for Next and
// Pieces, which one goroutine calls.
type Completion struct {
	*beginning
	prompt   []statecache.Segment
	job      *schedule.Job
	detailed bool // reports whether tokens are told of
	buffer   int
	course

	// Of the scheduler's goroutine, until the job is done.
	out    *text.Writer
	drawn  int  // ids of beginning.ids
	unread bool // reports whether the reader was too slow

	ready chan struct{} // full when there is a piece to take
	mu    sync.Mutex
	piece Piece // that nobody took yet
	text  strings.Builder
	ended bool // reports whether the rest of the text was taken from out
}

// course is where a completion begins, and how far it may go.
type course struct {
	prompted []int // the ids of the prompt
	earlier  []int // ids that another run drew; they stand at the end of beginning.ids too
	left     int   // most tokens to draw
}

// Piece is some more of the text.
type Piece struct {
	Text   string  // may be empty where there are Tokens
	Tokens []Token // drawn since the last piece, if they are asked for; their text may come later
}

// Token is a drawn token.
type Token = schedule.Token

// Probabilities says which probabilities a request asks for: Piece.Tokens are told if it asks for Logprobs or Top. With
// Prompted the prompt is fed from its start.
type Probabilities = schedule.Probabilities

// Result is what a completion came to.
type Result struct {
	Text   string
	IDs    []int // drawn ids that spell the text, but for the end of it where a token holds also a part of the stop string
	Finish text.Finish
	Stop   string // the stop string that was found
	// Turn is the prompt and the text, for the next turn to go on from.
	Turn []statecache.Segment
	// Whole has the ids of the prompt and all that were drawn for the text. Rest is the end of the text where these do not
	// spell it, since a token holds also a part of the stop string. Whole belongs to the completion.
	Whole []int
	Rest  string

	Cached    int // tokens of the prompt that were not fed
	Prefilled int // tokens of the prompt that were fed
	Drawn     int
}

// take takes a drawn token. The scheduler calls it, so it waits for nothing.
func (c *Completion) take(t Token) (more bool) {
	c.hit.Release()
	c.ids = append(c.ids, t.ID)
	c.drawn++
	more = c.push(t)
	if c.unread {
		return false
	}
	c.poke()
	return more
}

// push makes a token text. It reports whether another one is wanted.
func (c *Completion) push(t Token) (more bool) {
	added, done := c.out.Push(t.ID)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(added) > 0 {
		c.text.Write(added)
		c.piece.Text += string(added)
	}
	if c.detailed {
		t.Alternatives = slices.Clone(t.Alternatives)
		c.piece.Tokens = append(c.piece.Tokens, t)
	}
	if len(c.piece.Text)+tokenBytes*len(c.piece.Tokens) > c.buffer {
		c.unread = true
	}
	return !done
}

// poke says that there is a piece to take.
func (c *Completion) poke() {
	select {
	case c.ready <- struct{}{}:
	default:
	}
}

// tokenBytes is about what a Token takes of the buffer.
const tokenBytes = 64

// next returns what there is of the text since the last call.
func (c *Completion) next() Piece {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.piece
	c.piece = Piece{}
	return p
}

// Next waits for more of the text, and reports whether there was any before the end. Without a reader the text grows to
// Options.Buffer, and then the completion ends with ErrSlowReader.
func (c *Completion) Next() (p Piece, more bool) {
	for done := false; !done; {
		select {
		case <-c.ready:
		case <-c.job.Done():
			done = true
			c.end()
		}
		if p := c.next(); p.Text != "" || len(p.Tokens) > 0 {
			return p, true
		}
	}
	return Piece{}, false
}

// Pieces returns the text as it comes. Whoever takes no more of it cancels the completion.
func (c *Completion) Pieces() iter.Seq[Piece] {
	return func(yield func(Piece) bool) {
		for p, more := c.Next(); more; p, more = c.Next() {
			if !yield(p) {
				c.job.Cancel()
				return
			}
		}
	}
}

// end takes the text that was held back, once the job is done.
func (c *Completion) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	rest := c.out.Flush()
	c.text.Write(rest)
	c.piece.Text += string(rest)
}

// Cancel ends the completion soon. What it was fed is kept.
func (c *Completion) Cancel() { c.job.Cancel() }

// Done is closed when the completion has ended and what is kept of it is in the cache.
func (c *Completion) Done() <-chan struct{} { return c.job.Done() }

// Result waits for the end of the completion. With an error, by which it ended before its time, it tells what there is.
// The error is ErrSlowReader or as of schedule.Job.Err.
func (c *Completion) Result() (Result, error) {
	err := c.job.Err()
	c.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unread && err == nil {
		err = ErrSlowReader
	}
	u := c.job.Usage()
	r := Result{Text: c.text.String(), Finish: c.out.Finish(), Stop: c.out.Stop(), Drawn: u.Drawn + len(c.earlier)}
	r.Cached = min(u.Cached, c.asked)
	r.Prefilled = min(u.Cached+u.Fed, c.asked) - r.Cached
	if err == nil && r.Finish == text.Unfinished { // its constraint allowed nothing more
		r.Finish = text.FinishedEnd
	}
	covered, bytes := c.out.Covered()
	prompt, drawn := len(c.ids)-c.drawn, c.out.IDs()
	if r.Finish == text.FinishedStop {
		drawn, r.Rest = covered, r.Text[bytes:]
	}
	r.IDs, r.Whole = slices.Clone(c.ids[prompt:][:covered]), c.ids[:prompt+drawn:prompt+drawn]
	r.Turn = slices.Clone(c.prompt)
	if r.Text != "" {
		r.Turn = append(r.Turn, statecache.Segment{Text: r.Text, Answer: true, IDs: r.IDs, End: statecache.Turn})
	}
	return r, err
}
