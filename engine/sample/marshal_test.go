package sample

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"
)

// A sampler that is stored in the middle of a text goes on elsewhere with the ids and counts it would have had.
func TestMarshal(t *testing.T) {
	const vocab = 157
	logits := randomLogits(7, vocab, 2)
	for n, p := range settings() {
		for _, at := range []int{0, 1, 40} {
			s := newSampler(t, p, vocab)
			if err := s.AcceptPrompt([]int{3, 9, 3}); err != nil {
				t.Fatal(err)
			}
			for range at {
				next(t, s, logits)
			}
			data, err := s.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			other := newSampler(t, p, vocab)
			next(t, other, logits) // what it held is replaced
			if err := other.UnmarshalBinary(data); err != nil {
				t.Fatal(err)
			}
			for step := range 30 {
				if a, b := next(t, s, logits), next(t, other, logits); a != b {
					t.Fatalf("setting %d stored at %d: token %d is %d, want %d", n, at, step, b, a)
				}
			}
			for id := range vocab {
				a, ok := s.Count(id)
				if b, also := other.Count(id); a != b || ok != also {
					t.Fatalf("setting %d: count of %d is %v (%v), want %v (%v)", n, id, b, also, a, ok)
				}
			}
		}
	}
}

// Between settings with penalties and without, the position goes over; counts go where they are kept.
func TestMarshalAcrossSettings(t *testing.T) {
	with, without := newSampler(t, Params{Presence: 1}, 8), newSampler(t, Params{}, 8)
	for _, s := range []*Sampler{with, without} {
		for _, id := range []int{1, 5} {
			if err := s.Accept(id); err != nil {
				t.Fatal(err)
			}
		}
	}
	stored := func(s *Sampler) []byte {
		data, err := s.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	a, b := stored(with), stored(without)
	if err := with.UnmarshalBinary(b); err != nil || with.Position() != 2 || len(with.past.accepted) != 0 {
		t.Errorf("position %d, accepted %v, %v", with.Position(), with.past.accepted, err)
	}
	if err := without.UnmarshalBinary(a); err != nil || without.Position() != 2 {
		t.Errorf("position %d, %v", without.Position(), err)
	}
}

// Bytes that MarshalBinary cannot have written are refused, and the sampler stays as it was.
func TestUnmarshalErrors(t *testing.T) {
	s := newSampler(t, Params{Presence: 1, PenaltyDecay: 1}, 8)
	if err := s.AcceptPrompt([]int{2, 3}); err != nil {
		t.Fatal(err)
	}
	if err := s.Accept(4); err != nil {
		t.Fatal(err)
	}
	good, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	with := func(at int, word uint32) []byte {
		data := slices.Clone(good)
		binary.LittleEndian.PutUint32(data[at:], word)
		return data
	}
	for want, data := range map[string][]byte{
		"want 16 bytes and a multiple of 8, got 15": good[:15], "want 16 bytes and a multiple of 8, got 0": nil,
		"want 16 bytes and a multiple of 8, got 36": good[:36],
		"want format 1, got 2":                      with(0, 2), "want one of 8 ids, got one of 9": with(4, 9),
		"want ids below 8, got 8": with(16, 8), "id 2: want it once, got it again": with(24, 2),
		"id 2: want a finite count >= 0, got NaN":  with(20, math.Float32bits(float32(math.NaN()))),
		"id 2: want a finite count >= 0, got -1":   with(20, math.Float32bits(-1)),
		"id 3: want a finite count >= 0, got +Inf": with(28, math.Float32bits(float32(math.Inf(1)))),
	} {
		if err := s.UnmarshalBinary(data); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	if now, err := s.MarshalBinary(); err != nil || !slices.Equal(now, good) {
		t.Errorf("the sampler changed: %v (%v)", now, err)
	}
}

// A prompt's tokens count as drawn ones do, and leave the random stream where it was.
func TestAcceptPrompt(t *testing.T) {
	p := Params{Temperature: 1, TopP: 1, Presence: 0.5, Frequency: 0.5, PenaltyDecay: 0.9, Seed: 5}
	a, b := newSampler(t, p, 50), newSampler(t, p, 50)
	ids := []int{1, 7, 7, 30, 1}
	if err := a.AcceptPrompt(ids); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if err := b.Accept(id); err != nil {
			t.Fatal(err)
		}
	}
	b.SetPosition(0)
	logits := randomLogits(1, 50, 1)
	for step := range 20 {
		if x, y := next(t, a, logits), next(t, b, logits); x != y {
			t.Fatalf("token %d is %d, want %d", step, x, y)
		}
	}
	before, _ := a.MarshalBinary()
	if err := a.AcceptPrompt([]int{3, 50}); err == nil || !strings.Contains(err.Error(), "want 0 to 49, got 50") {
		t.Errorf("an id that is none: %v", err)
	}
	if now, _ := a.MarshalBinary(); !slices.Equal(now, before) {
		t.Error("a prompt that was refused changed the counts")
	}
}
