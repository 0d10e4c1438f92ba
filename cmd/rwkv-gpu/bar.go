package main

import (
	"io"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
)

// barDrawn reports whether a bar stands on the terminal. Then code that ends the process removes it.
var barDrawn atomic.Bool

// newBar returns a bar that shows how much of all is done. It is drawn on w until clearBar.
func newBar(w io.Writer, what string, all int64, bytes bool) *progressbar.ProgressBar {
	barDrawn.Store(true)
	return progressbar.NewOptions64(all, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(bytes), progressbar.OptionThrottle(50*time.Millisecond),
		progressbar.OptionFullWidth(), progressbar.OptionClearOnFinish())
}

// clearBar removes a bar, if there is one.
func clearBar(bar *progressbar.ProgressBar) {
	if bar != nil {
		_ = bar.Clear() // a bar that cannot be drawn is no reason to stop
		barDrawn.Store(false)
	}
}
