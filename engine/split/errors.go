package split

import (
	"errors"

	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// ran returns an error like err that is no op.NotRun. Earlier stages have changed states, whatever a later stage says
// of its own.
func ran(err error) error {
	if !op.IsNotRun(err) {
		return err
	}
	return &ranError{err}
}

// ranError is an error in whose chain nobody finds an op.NotRun.
type ranError struct{ err error }

func (e *ranError) Error() string { return e.err.Error() }

// Is reports whether the error's chain has target.
func (e *ranError) Is(target error) bool { return errors.Is(e.err, target) }

// As finds target in the error's chain.
func (e *ranError) As(target any) bool {
	if _, hidden := target.(**op.NotRun); hidden {
		return false
	}
	return errors.As(e.err, target)
}
