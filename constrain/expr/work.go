package expr

// ErrWork reports that more work was asked of a pool than it allows. It wraps ErrTooLarge.
var ErrWork error = workError{}

type workError struct{}

func (workError) Error() string {
	return "too large: its automaton takes more work than the limit allows"
}

func (workError) Unwrap() error { return ErrTooLarge }

// Allow lets work be done from now on: a step is a derivative, or an operand of a union or an intersection. A new pool allows
// any work.
func (p *Pool) Allow(steps int) { p.left = steps }

// Spend takes steps from what Allow allowed. The pool has ErrWork, and is of no more use, once they do not suffice.
func (p *Pool) Spend(steps int) {
	if p.left -= steps; p.left < 0 && p.err == nil {
		p.err = ErrWork
	}
}
