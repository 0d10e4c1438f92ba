package local

import (
	"io"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/completion"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// stream is a completion as the protocols read it.
type stream struct {
	m       *Model
	c       *completion.Completion
	began   time.Time
	most    int
	told    bool     // reports whether tokens are told of
	before  int      // tokens that the request's state had read
	wholly  bool     // reports whether the result has all ids
	reading *reading // of the prompt, which other streams may have too
	recited bool     // reports whether the prompt's tokens were returned
	traced  bool     // reports whether ids are told as they come, and of the prompt, which asked says was not done
	asked   bool

	held        []api.Token // whose text may not be certain yet
	drawn       int         // tokens that came
	first, last time.Time   // when they came
	shown       int         // bytes of text that were returned
	spelt       int         // bytes of the tokens that were returned
	result      api.Result
	ended       bool
}

// Next waits for more of the answer.
func (s *stream) Next() (api.Piece, error) {
	if s.traced && !s.asked {
		s.asked = true
		return api.Piece{Prompt: slices.Clone(s.c.Asked()[s.reading.hidden:])}, nil
	}
	for !s.ended {
		p, more := s.c.Next()
		if !more {
			return s.end()
		}
		if s.drawn == 0 {
			s.first = time.Now()
		}
		s.drawn, s.last = s.drawn+1, time.Now()
		if out := s.piece(p); out.Text != "" || len(out.Tokens) > 0 || len(out.Drawn) > 0 {
			return out, nil
		}
	}
	return api.Piece{}, io.EOF
}

// recite returns the prompt's tokens, once, where they are told of and all there.
func (s *stream) recite() []api.Token {
	if s.recited {
		return nil
	}
	all := s.reading.all()
	s.recited = len(all) > 0
	return all
}

// piece takes a piece of the completion. Tokens are returned once their text is.
func (s *stream) piece(p completion.Piece) api.Piece {
	if s.most == 0 { // what is drawn is nobody's
		return api.Piece{}
	}
	out := api.Piece{Text: p.Text, Tokens: s.recite()}
	s.shown += len(p.Text)
	for _, t := range p.Tokens {
		next := api.Token{ID: t.ID, Logprob: t.Logprob, Top: slices.Clone(t.Alternatives)}
		if t.ID != text.EndOfText {
			next.Bytes = s.m.tok.Bytes(t.ID)
		}
		if s.traced {
			out.Drawn = append(out.Drawn, next)
		}
		if s.told || !s.traced {
			s.held = append(s.held, next)
		}
	}
	for len(s.held) > 0 && s.spelt+len(s.held[0].Bytes) <= s.shown && s.held[0].ID != text.EndOfText {
		s.spelt += len(s.held[0].Bytes)
		out.Tokens = append(out.Tokens, s.held[0])
		s.held = s.held[1:]
	}
	return out
}

// end returns what is left of the answer, once.
func (s *stream) end() (api.Piece, error) {
	s.ended = true
	r, err := s.c.Result()
	s.result = api.Result{Finish: r.Finish, Stop: r.Stop, Prompt: s.before + r.Cached + r.Prefilled, Cached: s.before + r.Cached,
		Before: s.before, Drawn: r.Drawn, Drawing: s.last.Sub(s.first)}
	if s.wholly {
		s.whole(&r)
	}
	if s.result.Reading = time.Since(s.began); s.drawn > 0 {
		s.result.Reading = s.first.Sub(s.began)
	}
	if s.most == 0 {
		s.result.Finish, s.result.Stop, s.result.Drawn = text.FinishedLength, "", 0
		s.result.Whole, s.result.Rest = s.result.Whole[:min(max(r.Cached+r.Prefilled-s.reading.hidden, 0), len(s.result.Whole))], ""
	}
	if err := s.m.fault(err); err != nil {
		return api.Piece{}, err
	}
	// Bytes that are no text were returned as marks of another length, so the answer's ids say which tokens are its own.
	left := len(r.IDs) - (r.Drawn - len(s.held))
	out := api.Piece{Tokens: s.recite()}
	if s.told && s.most > 0 {
		out.Tokens = append(out.Tokens, s.held[:max(min(left, len(s.held)), 0)]...)
		if n := len(s.held); n > 0 && r.Finish == text.FinishedEnd && s.held[n-1].ID == text.EndOfText {
			out.Tokens = append(out.Tokens, s.held[n-1])
		}
	}
	if len(out.Tokens) > 0 {
		return out, nil
	}
	return out, io.EOF
}

// Result tells of the answer.
func (s *stream) Result() api.Result {
	if !s.ended { // it was closed before
		s.ended = true
		s.c.Cancel()
		r, _ := s.c.Result() // whose error the client was told, or is gone
		s.result = api.Result{Prompt: s.before + r.Cached + r.Prefilled, Cached: s.before + r.Cached, Before: s.before, Drawn: r.Drawn,
			Finish: r.Finish}
	}
	return s.result
}

// Close ends the request.
func (s *stream) Close() { s.c.Cancel() }
