package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

// An error by which the caller ends the loading of weights comes back as it is, behind the model's file.
func TestProgressError(t *testing.T) {
	m, mine := golden.Tiny(t), errors.New("mine")
	eachDevice(t, func(t *testing.T, d *device.Device) {
		e, err := New(m, d, Options{Progress: func(int64, int64) error { return mine }})
		var of *device.Error
		if e != nil || !errors.Is(err, mine) || !strings.HasPrefix(err.Error(), m.File.Path+": ") || errors.As(err, &of) {
			t.Errorf("want the caller's error, got %v", err)
		}
	})
}

// An engine that was closed refuses, on either device.
func TestClosedEngine(t *testing.T) {
	m := golden.Tiny(t)
	eachDevice(t, func(t *testing.T, d *device.Device) {
		e := newEngine(t, m, d, Options{})
		s := newSeq(t, e)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{"Pass": e.Pass(t.Context(), []Row{{Seq: s, Tokens: []int{1}}}),
			"Burst": second(e.Burst(t.Context(), []Continuation{{Seq: s}}, 1, nil)), "NewSeq": second(e.NewSeq(nil)), "Fork": second(e.Fork(s)),
			"Save": second(e.Save([]*Seq{s}, nil)), "Restore": second(e.Restore([]*Seq{s}, nil)), "Reopen": e.Reopen(t.Context())} {
			if !errors.Is(err, ErrClosed) || !strings.Contains(err.Error(), "closed") {
				t.Errorf("%s: %v", name, err)
			}
		}
		s.Release()
		if err := e.Close(); err != nil {
			t.Errorf("closed again: %v", err)
		}
	})
}
