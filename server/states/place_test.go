package states

import (
	"errors"
	"os"
	"slices"
	"testing"
)

// States make room when another state is kept, and not before, and the one that it goes on from does not.
func TestPlace(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		s := reopen(t, Options{Bytes: 64, Dir: dir})
		ids := func() (list []string) {
			for _, i := range s.List("ann") {
				list = append(list, i.ID)
			}
			slices.Reverse(list)
			return list
		}
		want := func(what string, want ...string) {
			t.Helper()
			if got := ids(); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
			if _, bytes := s.Stats(); bytes != int64(12*len(want)) {
				t.Errorf("%s: %d bytes", what, bytes)
			}
		}
		var ones []string
		for range 3 {
			i, err := s.add("ann", "", false, made(0))
			if err != nil {
				t.Fatal(err)
			}
			ones = append(ones, i.ID)
		}
		p, err := s.Reserve("ann", 40, false, ones[0])
		if err != nil {
			t.Fatal(err)
		}
		want("reserved", ones...)
		if _, err := s.Reserve("ann", 25, false, ""); !errors.As(err, new(*FullError)) {
			t.Errorf("more than there is: %v", err)
		}
		p.Drop()
		p.Drop()
		want("dropped", ones...)
		if _, err := s.Reserve("ann", 53, false, ones[1]); !errors.As(err, new(*FullError)) {
			t.Errorf("beside one that stays: %v", err)
		}
		if p, err = s.Reserve("ann", 40, false, ones[0]); err != nil {
			t.Fatal(err)
		}
		i, err := p.Keep("", made(0))
		if err != nil {
			t.Fatal(err)
		}
		want("kept", ones[0], ones[2], i.ID)
		p.Drop()
		want("dropped after that", ones[0], ones[2], i.ID)
		if len(s.held) != 0 {
			t.Errorf("still held: %v", s.held)
		}
	}
}

// Two states that are made at once each from another one both find their room, even where what they go on from has to
// give it. Where a state that was to make room has become a lasting one, there is none.
func TestPlaces(t *testing.T) {
	s := reopen(t, Options{Bytes: 60, Dir: t.TempDir()})
	a, err := s.add("ann", "", false, made(0))
	if err != nil {
		t.Fatal(err)
	}
	one, err := s.Reserve("ann", 40, false, a.ID)
	if err != nil {
		t.Fatal(err)
	}
	two, err := s.Reserve("ann", 20, true, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Place{two, one} {
		if _, err := p.Keep("", made(6)); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Info("ann", a.ID); !errors.Is(err, ErrNone) {
		t.Errorf("want no %s any more, got %v", a.ID, err)
	}
	s = reopen(t, Options{Bytes: 50, Dir: t.TempDir()})
	if a, err = s.add("ann", "", false, made(0)); err != nil {
		t.Fatal(err)
	}
	two, e, err := s.replacing("ann", a.ID, 12)
	if err != nil {
		t.Fatal(err)
	}
	if one, err = s.Reserve("ann", 40, false, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := two.keep(e, made(0), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Keep("", made(0)); !errors.As(err, new(*FullError)) {
		t.Errorf("want no room, got %v", err)
	}
	one.Drop()
	if n, bytes := s.Stats(); n != 1 || bytes != 12 || len(s.held) != 0 {
		t.Errorf("%d states of %d bytes, %v held", n, bytes, s.held)
	}
	if files, err := os.ReadDir(s.o.Dir); err != nil || len(files) != 1 {
		t.Errorf("%q, %v", files, err)
	}
}
