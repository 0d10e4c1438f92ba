package weights

import "math"

// Function says which function of the original parameter a tensor stores, if a converter applied one that cannot be
// undone exactly. The model must not apply it again.
type Function string

// The functions. w and u are the numbers of the original checkpoint.
const (
	Plain     Function = ""             // the original numbers
	NegExp    Function = "-exp(w)"      // time_decay of v4, as rwkv.cpp stores it
	ExpNegExp Function = "exp(-exp(w))" // time_decay of v5, as rwkv.cpp stores it: the decay itself
	Exp       Function = "exp(u)"       // time_first of v5.0, as rwkv.cpp stores it: the factor itself
)

// Of returns the stored number for the original number x.
func (f Function) Of(x float64) float64 {
	switch f {
	case NegExp:
		return -math.Exp(x)
	case ExpNegExp:
		return math.Exp(-math.Exp(x))
	case Exp:
		return math.Exp(x)
	}
	return x
}

// Inverse returns the original number of y, infinite for a y that only an infinite number gives.
func (f Function) Inverse(y float64) float64 {
	switch f {
	case NegExp:
		return math.Log(-y)
	case ExpNegExp:
		return math.Log(-math.Log(y))
	case Exp:
		return math.Log(y)
	}
	return y
}
