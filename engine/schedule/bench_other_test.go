//go:build !unix

package schedule

import (
	"testing"
	"time"
)

// processorTime returns 0, since only Unix systems are asked.
func processorTime(*testing.B) time.Duration { return 0 }
