package sample

import (
	"errors"
	"fmt"
)

// ErrLogits matches every LogitsError under errors.Is.
var ErrLogits = errors.New("no token can be drawn")

// LogitsError says that no token can be drawn from some logits.
type LogitsError struct {
	ID    int     // with a logit that is NaN or +Inf; -1 if all are -Inf, banned or masked
	Value float32 // of that logit
}

func (e *LogitsError) Error() string {
	if e.ID < 0 {
		return "sample: logits: want one id that may be drawn, got all at -Inf, banned or masked"
	}
	return fmt.Sprintf("sample: logits[%d]: want a number or -Inf, got %v", e.ID, e.Value)
}

// Is reports whether target is ErrLogits.
func (e *LogitsError) Is(target error) bool { return target == ErrLogits }
