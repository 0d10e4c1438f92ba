package main

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
)

// barDrawn reports whether a bar stands on the terminal: who ends the process then takes it away.
var barDrawn atomic.Bool

// newBar returns a bar of what is done of all steps, drawn on w until clearBar.
func newBar(w io.Writer, what string, all int64, bytes bool) *progressbar.ProgressBar {
	barDrawn.Store(true)
	return progressbar.NewOptions64(all, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(bytes), progressbar.OptionThrottle(50*time.Millisecond),
		progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish())
}

// clearBar takes a bar away, if there is one.
func clearBar(bar *progressbar.ProgressBar) {
	if bar != nil {
		_ = bar.Clear() // a bar that cannot be drawn is no reason to stop
		barDrawn.Store(false)
	}
}
