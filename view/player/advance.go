package player

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
)

// advance goes on by some tokens: it reads what is to be read, and draws.
func (p *Player) advance(ctx context.Context, most int) error {
	if p.over() {
		p.set(func(n *Now) { n.Playing = false })
		return nil
	}
	began := time.Now()
	if p.o.Max > 0 {
		most = min(most, p.o.Max-p.Now().Drawn)
	}
	drawn, err := p.draw(ctx, max(most, 1))
	p.pace.did(drawn, time.Since(began))
	if err != nil {
		return err
	}
	ended := p.over()
	p.set(func(n *Now) {
		n.Seq, n.Fed, n.At, n.Rate = p.live, p.fed, -1, p.pace.rate()
		if ended {
			n.Playing, n.Ended = false, true
		}
	})
	return p.keep()
}

// steps returns how many tokens the next burst should have.
func (p *Player) steps() int {
	n := p.pace.steps()
	if p.o.burst > 0 {
		n = min(n, p.o.burst)
	}
	return n
}

// over reports whether nothing more is to be drawn.
func (p *Player) over() bool {
	now := p.Now()
	last := now.Tokens[len(now.Tokens)-1]
	return p.o.Max > 0 && now.Drawn >= p.o.Max || last.From == Drawn && last.ID == text.EndOfText
}

// draw reads the pending tokens and draws up to most tokens.
func (p *Player) draw(ctx context.Context, most int) (drawn int, err error) {
	tokens := p.Now().Tokens
	unread := tokens[len(tokens)-p.pending:]
	if len(unread) > 1 || unread[0].From != Drawn {
		return p.feed(ctx, unread)
	}
	c := []engine.Continuation{{Seq: p.live, Token: unread[0].ID, Sampler: p.sampler, Ends: []int{text.EndOfText}}}
	var ids []int
	_, err = p.e.Burst(ctx, c, most, func(_, id int) bool {
		ids = append(ids, id)
		return true
	})
	if n := len(ids); n > 0 { // those count in any case
		p.fed, p.pending = p.fed+n, 0
		p.add(Drawn, ids...)
		p.pending = 1
	}
	return len(ids), errors.Join(err, c[0].Err)
}

// feed reads tokens, and draws one.
func (p *Player) feed(ctx context.Context, unread []Token) (drawn int, err error) {
	ids := make([]int, len(unread))
	for i, t := range unread {
		ids[i] = t.ID
	}
	rows := []engine.Row{{Seq: p.live, Tokens: ids, Want: engine.WantDraw, Sampler: p.sampler}}
	err = p.e.Feed(ctx, rows)
	p.fed, p.pending = p.fed+rows[0].Taken, p.pending-rows[0].Taken
	if err := errors.Join(err, rows[0].Err); err != nil {
		return 0, err
	}
	p.add(Drawn, rows[0].ID)
	return 1, nil
}

// keep keeps the newest state, unless one is kept that is about as new. When there is no room, every second kept state
// goes, and later ones are kept half as often. So all of the text can be gone back to, in even steps.
func (p *Player) keep() error {
	most := p.o.Slots - 2 // besides the newest state, and its copy while the text goes back
	if n := len(p.kept); most < 2 || n > 0 && p.fed-p.kept[n-1].fed < p.stride {
		return nil
	}
	if len(p.kept) >= most {
		for i := range p.kept {
			if i%2 == 1 {
				p.kept[i].seq.Release()
			}
		}
		for i := range (len(p.kept) + 1) / 2 {
			p.kept[i] = p.kept[2*i]
		}
		p.kept = slices.Clip(p.kept[:(len(p.kept)+1)/2])
		p.stride *= 2
	}
	seq, err := p.e.Fork(p.live)
	if err != nil {
		return err
	}
	smp, err := p.sampler.MarshalBinary()
	if err != nil {
		seq.Release()
		return err
	}
	now := p.Now()
	p.kept = append(p.kept, kept{seq: seq, tokens: len(now.Tokens), fed: p.fed, drawn: now.Drawn, sampler: smp})
	p.set(func(*Now) {})
	return nil
}

// burstTime is how long a burst of tokens takes at most, so that the picture and the keys keep up.
const burstTime = 40 * time.Millisecond

// pace measures how fast tokens come.
type pace struct {
	times  [32]time.Duration // of the last bursts
	tokens [32]int
	at     int
}

// begin forgets what was measured.
func (p *pace) begin() { *p = pace{} }

func (p *pace) did(tokens int, took time.Duration) {
	p.times[p.at], p.tokens[p.at] = took, tokens
	p.at = (p.at + 1) % len(p.times)
}

// rate returns tokens a second; 0 before any are known.
func (p *pace) rate() float64 {
	var time time.Duration
	tokens := 0
	for i, t := range p.times {
		time, tokens = time+t, tokens+p.tokens[i]
	}
	if time <= 0 {
		return 0
	}
	return float64(tokens) / time.Seconds()
}

// steps returns how many tokens the next burst should have.
func (p *pace) steps() int { return max(1, int(p.rate()*burstTime.Seconds())) }
