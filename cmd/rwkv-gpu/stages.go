package main

import (
	"context"

	"github.com/schollz/progressbar/v3"
)

// stages shows the progress of work in several stages: by a bar for each if somebody would see it, else by a line for
// each.
type stages struct {
	*app
	loading func(done, all int64) error
	clear   func() // what loading drew
	bar     *progressbar.ProgressBar
	now     string
}

func (a *app) stages(ctx context.Context) *stages {
	s := &stages{app: a}
	s.loading, s.clear = a.progress(ctx)
	return s
}

// stage shows how much of the stage called now is done.
func (s *stages) stage(now string, done, all int64) {
	if now != s.now {
		s.end()
		s.now = now
		if !s.common.quiet && isTerminal(s.stderr) {
			s.bar = newBar(s.stderr, now, all, false)
		} else {
			s.notice("%s", now)
		}
	}
	if s.bar != nil {
		_ = s.bar.Set64(done) // a bar that cannot be drawn is no reason to stop
	}
}

// end removes the bar.
func (s *stages) end() {
	s.clear()
	clearBar(s.bar)
	s.bar = nil
}
