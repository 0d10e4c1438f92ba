package player

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// Options say what is played.
type Options struct {
	Prompt  []int // at least one token
	Sample  sample.Params
	Sampler []byte // where the sampler goes on, as its MarshalBinary returned it; nil for a new one
	Max     int    // stop when so many tokens were drawn; 0: never
	Slots   int    // of the engine; those beyond 2 keep states

	burst int // in tests: tokens at once at most, however fast they come; 0: as many as their pace allows
}

// Origin says where a token comes from.
type Origin uint8

// The origins.
const (
	Prompt Origin = iota
	Drawn
	Typed
)

// Token is one token of the text.
type Token struct {
	ID   int
	Text string // what the token added to the text; "" within a character
	From Origin
}

// Now is how things stand. Its slices are not changed any more.
type Now struct {
	Tokens  []Token // the last one is drawn and not yet read, unless the prompt is still being read
	Fed     int     // how many of them the shown state has read
	Seq     *engine.Seq
	Playing bool
	Ended   bool    // reports whether the text came to its end, or to Options.Max
	Drawn   int     // tokens drawn so far
	Rate    float64 // tokens a second, while it plays
	Kept    []int   // for each kept state, how many tokens it has read
	At      int     // which of them is shown; -1: the newest state, which is none of them
	Note    string  // what happened, for people
}

// Player plays a sequence. Run does the work. The other methods may be called from any goroutine.
type Player struct {
	e    *engine.Engine
	o    Options
	tok  tokenizer.Tokenizer
	asks chan ask

	sampler *sample.Sampler
	stream  *tokenizer.Stream
	live    *engine.Seq
	fed     int // tokens that live has read
	pending int // of the tokens, that are to be read; the last of them was drawn, unless it was typed
	kept    []kept
	stride  int
	pace    pace

	mu  sync.Mutex
	now Now

	open sync.Mutex // held while the device has to stay open, and while it is opened anew

	changed func() // told after each change; nil: nobody
}

// kept is a state to which the text can go back.
type kept struct {
	seq     *engine.Seq
	tokens  int // of the text, then
	fed     int
	drawn   int
	sampler []byte
}

// ask is what somebody wants of the player.
type ask struct {
	what     asked
	n        int
	text     string
	reopened int
}

type asked uint8

const (
	toggle asked = iota
	step
	seek
	typed
	reopen
)

// New makes a player. changed, which may be nil, is told of changes, on any goroutine.
func New(e *engine.Engine, tok tokenizer.Tokenizer, o Options, changed func()) (*Player, error) {
	if len(o.Prompt) == 0 {
		return nil, errors.New("player: prompt: want at least one token, got none")
	}
	smp, err := sample.New(o.Sample, sample.NewVocabulary(e.Model.Vocab, tok))
	if err != nil {
		return nil, err
	}
	if o.Sampler != nil {
		if err := smp.UnmarshalBinary(o.Sampler); err != nil {
			return nil, err
		}
	}
	p := &Player{e: e, o: o, tok: tok, asks: make(chan ask, 64), sampler: smp, stream: tokenizer.NewStream(tok), stride: 1, changed: changed}
	if p.live, err = e.NewSeq(nil); err != nil {
		return nil, err
	}
	p.add(Prompt, o.Prompt...)
	p.set(func(n *Now) { n.Playing, n.At, n.Seq = true, -1, p.live })
	return p, nil
}

// Now returns how things stand.
func (p *Player) Now() Now {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// Toggle has the text go on, or stop.
func (p *Player) Toggle() { p.ask(ask{what: toggle}) }

// Step goes n tokens on, or n kept states back if n is negative, and stops there.
func (p *Player) Step(n int) { p.ask(ask{what: step, n: n}) }

// Seek shows a kept state, by its place in Now.Kept; -1 is the newest state.
func (p *Player) Seek(i int) { p.ask(ask{what: seek, n: i}) }

// Type continues the text that is shown.
func (p *Player) Type(text string) { p.ask(ask{what: typed, text: text}) }

// Reopen opens a lost device anew, unless that was done since the engine's Stats said Reopened.
func (p *Player) Reopen(since int) { p.ask(ask{what: reopen, reopened: since}) }

// KeepOpen calls use, during which the player does not open the device anew. So what use has on the device stays there.
func (p *Player) KeepOpen(use func() error) error {
	p.open.Lock()
	defer p.open.Unlock()
	return use()
}

// ask asks without waiting. So many unanswered asks that the channel is full come from a held key: the next ones do not
// count.
func (p *Player) ask(a ask) {
	select {
	case p.asks <- a:
	default:
	}
}

// Run plays until ctx is done, or the device fails for good. Then the sequences are released.
func (p *Player) Run(ctx context.Context) error {
	defer p.release()
	for {
		var err error
		if p.Now().Playing {
			select {
			case a := <-p.asks:
				err = p.answer(ctx, a)
			default:
				err = p.advance(ctx, p.steps())
			}
		} else {
			select {
			case a := <-p.asks:
				err = p.answer(ctx, a)
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, engine.ErrDeviceLost) {
			err = p.reopen(ctx, err)
		}
		if err != nil {
			return err
		}
	}
}

func (p *Player) release() {
	p.live.Release()
	for i := range p.kept {
		p.kept[i].seq.Release()
	}
}

// set changes how things stand.
func (p *Player) set(change func(*Now)) {
	p.mu.Lock()
	change(&p.now)
	p.now.Kept = nil
	for i := range p.kept {
		p.now.Kept = append(p.now.Kept, p.kept[i].fed)
	}
	p.mu.Unlock()
	if p.changed != nil {
		p.changed()
	}
}

// add adds tokens to the text.
func (p *Player) add(from Origin, ids ...int) {
	more := make([]Token, len(ids))
	for i, id := range ids {
		more[i] = Token{ID: id, Text: string(p.stream.Append(nil, id)), From: from}
		if id == text.EndOfText {
			more[i].Text = ""
		}
	}
	p.pending += len(ids)
	p.set(func(n *Now) {
		n.Tokens = append(slices.Clip(n.Tokens), more...)
		if from == Drawn {
			n.Drawn += len(ids)
		}
	})
}

// answer does what somebody asks for.
func (p *Player) answer(ctx context.Context, a ask) error {
	now := p.Now()
	switch a.what {
	case toggle:
		if now.Playing {
			p.set(func(n *Now) { n.Playing = false })
			return nil
		}
		return p.play(now)
	case step:
		return p.step(ctx, now, a.n)
	case seek:
		if a.n < len(p.kept) && a.n >= -1 {
			p.show(a.n)
		}
	case typed:
		return p.read(now, a.text)
	case reopen:
		if p.e.Stats().Reopened <= a.reopened {
			return p.reopen(ctx, nil)
		}
	}
	return nil
}

func (p *Player) play(now Now) error {
	if err := p.goBack(now); err != nil {
		return err
	}
	if now.Ended {
		p.o.Max = 0 // somebody wants more
	}
	p.pace.begin()
	p.set(func(n *Now) { n.Playing, n.Ended, n.Note = true, false, "" })
	return nil
}

// step goes through the kept states, and behind the last one through new tokens.
func (p *Player) step(ctx context.Context, now Now, n int) error {
	at, last := now.At, len(p.kept)-1
	if at < 0 {
		at = len(p.kept)
		if last >= 0 && p.kept[last].fed == p.fed { // the last one is what is shown
			at--
		}
	}
	switch to := at + n; {
	case n < 0 && len(p.kept) > 0:
		p.show(max(to, 0))
	case n > 0 && to < len(p.kept):
		p.show(to)
	case n > 0 && now.At >= 0 && p.kept[last].fed < p.fed:
		p.show(-1)
	case n > 0:
		if p.show(-1); now.Ended {
			p.o.Max = 0 // somebody wants more
		}
		return p.advance(ctx, 1)
	}
	return nil
}

// show stops, and shows a kept state, or the newest one.
func (p *Player) show(i int) {
	seq, fed := p.live, p.fed
	if i >= 0 {
		seq, fed = p.kept[i].seq, p.kept[i].fed
	}
	p.set(func(n *Now) { n.Playing, n.At, n.Seq, n.Fed, n.Note = false, i, seq, fed, "" })
}

// read continues what is shown by a text.
func (p *Player) read(now Now, words string) error {
	ids, err := tokenizer.Encode(p.tok, words)
	if err != nil {
		p.set(func(n *Now) { n.Note = err.Error() })
		return nil
	}
	if len(ids) == 0 {
		return nil
	}
	if err := p.goBack(now); err != nil {
		return err
	}
	p.add(Typed, ids...)
	return p.play(p.Now())
}

// goBack makes the kept state that is shown the newest one. What was behind it is forgotten.
func (p *Player) goBack(now Now) error {
	if now.At < 0 {
		return nil
	}
	k := p.kept[now.At]
	for i := now.At + 1; i < len(p.kept); i++ {
		p.kept[i].seq.Release()
	}
	p.kept = p.kept[:now.At+1]
	live, err := p.e.Fork(k.seq)
	if err != nil {
		return err
	}
	p.live.Release()
	p.live, p.fed, p.pending = live, k.fed, k.tokens-k.fed
	p.stream = tokenizer.NewStream(p.tok)
	for _, t := range now.Tokens[:k.tokens] { // for a character that is not finished
		p.stream.Append(nil, t.ID)
	}
	if err := p.sampler.UnmarshalBinary(k.sampler); err != nil {
		return err
	}
	p.set(func(n *Now) {
		n.Tokens, n.Drawn, n.At, n.Seq, n.Fed, n.Ended = slices.Clip(n.Tokens[:k.tokens]), k.drawn, -1, live, k.fed, false
	})
	return nil
}

// reopen opens a lost device anew.
func (p *Player) reopen(ctx context.Context, lost error) error {
	const tries = 3
	var err error
	for range tries {
		if err = p.KeepOpen(func() error { return p.e.Reopen(ctx) }); err == nil {
			why := ""
			if lost != nil {
				why = fmt.Sprintf(" (%v)", lost)
			}
			p.pace.begin()
			p.set(func(n *Now) { n.Note = "the device was lost and opened anew" + why })
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(300 * time.Millisecond): // a driver that resets its device
		}
	}
	return err
}
