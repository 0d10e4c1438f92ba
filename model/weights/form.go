package weights

// Form says which function of the original parameter a tensor holds, where a converter applied one that cannot be
// undone exactly. The model must not apply it again.
type Form string

// The forms. w and u are the numbers of the original checkpoint.
const (
	Plain     Form = ""             // the original numbers
	NegExp    Form = "-exp(w)"      // time_decay of v4, as rwkv.cpp stores it
	ExpNegExp Form = "exp(-exp(w))" // time_decay of v5, as rwkv.cpp stores it: the decay itself
	Exp       Form = "exp(u)"       // time_first of v5.0, as rwkv.cpp stores it: the factor itself
)
