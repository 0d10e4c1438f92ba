package sample

import (
	"errors"
	"fmt"
)

// ErrLogits is what every LogitsError matches under errors.Is.
var ErrLogits = errors.New("no token can be drawn")

// LogitsError reports logits of which no token can be drawn.
type LogitsError struct {
	ID    int     // whose logit is no number but -Inf; -1 if all are at -Inf, banned or masked
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
