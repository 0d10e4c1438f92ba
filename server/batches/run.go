package batches

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/bulk"
)

// Causes by which work on a batch ends before its time.
var (
	errCancelled = errors.New("the batch was cancelled")
	errExpired   = errors.New("the batch took longer than its completion window")
	errSettings  = errors.New("the server has another model or other settings than when the batch began")
)

// rests say of each such cause what becomes of requests without an answer, and of the batch.
var rests = []struct {
	cause  error
	rest   bulk.Rest
	status string
}{
	{errCancelled, bulk.Rest{Code: "batch_cancelled", Message: "This request was not answered, since the batch was cancelled."}, cancelled},
	{errExpired, bulk.Rest{Code: "batch_expired", Message: "This request could not be answered before the completion window expired."}, expired},
	{errSettings, bulk.Rest{Code: "model_changed", Message: "This request was not answered, since the server has another model or other settings now."}, failed},
}

// Waits between tries where the disk or the device does not work.
const (
	firstWait = time.Second
	longWait  = time.Minute
)

// full reports whether an error is that of a full disk.
func full(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EFBIG) }

// work works on a batch until it is over, or ctx is done by other causes than the batch's own: then it goes on later.
func (s *Service) work(ctx context.Context, b *batch, turn chan struct{}) {
	r := b.now()
	expires := time.Unix(r.Expires+1, 0) // whole seconds were cut off, and the window is never shorter than it says
	ctx, stop := context.WithDeadlineCause(ctx, expires, errExpired)
	defer stop()
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done(): // finished without an answer, unless the server ends
	}
	for wait := firstWait; ; wait = min(2*wait, longWait) {
		err := s.try(ctx, b)
		if err == nil {
			if err = bulk.Forget(filepath.Join(b.dir, "job")); err != nil {
				s.o.Log.Warn("a batch that is over has files left", "batch", r.ID, "cause", err)
			}
			return
		}
		if s.ctx.Err() != nil {
			return
		}
		sooner := ctx.Done()
		if ctx.Err() != nil { // which was not enough
			sooner = nil
		}
		s.o.Log.Warn("a batch has to wait", "batch", r.ID, "user", r.User, "for", wait, "cause", err)
		select {
		case <-s.ctx.Done():
			return
		case <-sooner:
		case <-time.After(wait):
		}
	}
}

// try works on a batch until it is over. The error is what keeps it from that.
func (s *Service) try(ctx context.Context, b *batch) error {
	r := b.now()
	if r.over() {
		return nil
	}
	j, err := bulk.Open(s.ctx, s.options(b))
	var bad *bulk.InputError
	switch {
	case errors.As(err, &bad):
		return s.fail(b, bad)
	case errors.Is(err, os.ErrNotExist) && s.inputGone(b), errors.Is(err, bulk.ErrChanged), errors.Is(err, bulk.ErrDamaged):
		s.o.Log.Error("a batch failed", "batch", r.ID, "user", r.User, "cause", err)
		return s.fail(b, &bulk.InputError{Faults: []bulk.Fault{{Code: "file_lost", Message: "the input file is not there as it was"}}})
	case err != nil:
		return err
	}
	defer func() {
		if err := j.Close(); err != nil {
			s.o.Log.Warn("a batch's files could not be closed", "batch", r.ID, "cause", err)
		}
	}()
	if r.Settings != s.o.Settings && !j.Done() {
		return s.finish(b, j, errSettings)
	}
	return s.run(ctx, b, j)
}

// options returns what the job of a batch is.
func (s *Service) options(b *batch) bulk.Options {
	r := b.now()
	return bulk.Options{Input: s.files.ContentPath(r.Input), Output: s.files.ContentPath(r.Out), Errors: s.files.ContentPath(r.Bad),
		Dir: filepath.Join(b.dir, "job"), URLs: []string{r.Endpoint}, User: r.User, MostLine: s.o.Line, MostItems: mostItems,
		Settings: r.Settings, Kept: func(c bulk.Counts) { s.count(b, c) }}
}

// count tells clients how far a batch is. If the disk fails, the next counts come soon.
func (s *Service) count(b *batch, c bulk.Counts) {
	counts := Counts{c.Items, c.Completed, c.Failed}
	if b.now().Counts == counts {
		return
	}
	if err := b.change(func(r *record) { r.Counts = counts }); err != nil {
		s.o.Log.Warn("a batch's counts could not be written", "batch", b.now().ID, "cause", err)
	}
}

// inputGone reports whether the input is no file of the user's.
func (s *Service) inputGone(b *batch) bool {
	_, err := s.files.Info(b.now().User, b.now().Input)
	return err != nil
}

// run does a batch's job.
func (s *Service) run(ctx context.Context, b *batch, j *bulk.Job) error {
	if err := b.change(func(r *record) {
		c := j.Counts()
		if r.Counts = (Counts{c.Items, c.Completed, c.Failed}); r.Status == validating {
			r.Status, r.Began = inProgress, now()
		}
	}); err != nil {
		return err
	}
	s.told(b)
	err := j.Run(ctx, s.o.Worker, s.o.Budget, nil)
	cause := context.Cause(ctx)
	switch {
	case s.ctx.Err() != nil: // the server ends
		return s.ctx.Err()
	case err == nil:
		return s.finish(b, j, nil)
	case errors.Is(cause, errCancelled), errors.Is(cause, errExpired):
		return s.finish(b, j, cause)
	}
	return err
}

// fail ends a batch of which no request is answered.
func (s *Service) fail(b *batch, bad *bulk.InputError) error {
	faults := &Faults{Object: "list"}
	for _, f := range bad.Faults {
		one := Fault{Code: f.Code, Message: f.Message}
		if f.Param != "" {
			one.Param = &f.Param
		}
		if f.Line > 0 {
			one.Line = &f.Line
		}
		faults.Data = append(faults.Data, one)
	}
	if err := bulk.Forget(filepath.Join(b.dir, "job")); err != nil {
		return err
	}
	if err := b.change(func(r *record) { r.Status, r.Failed, r.Errors = failed, now(), faults }); err != nil {
		return err
	}
	s.told(b)
	return nil
}

// finish writes the files of a batch, and ends it. Without a cause all has been answered.
func (s *Service) finish(b *batch, j *bulk.Job, cause error) error {
	var rest *bulk.Rest
	end := completed
	for _, r := range rests {
		if errors.Is(cause, r.cause) {
			rest, end = &r.rest, r.status
		}
	}
	if err := b.change(func(r *record) {
		if r.Finalizing == nil {
			r.Finalizing = now()
		}
		if r.Status != cancelling {
			r.Status = finalizing
		}
	}); err != nil {
		return err
	}
	if err := j.Finish(s.ctx, rest); err != nil {
		return err
	}
	c := j.Counts()
	output, failures, err := s.adopt(b, c)
	if err != nil {
		return err
	}
	err = b.change(func(r *record) {
		r.Counts, r.Output, r.Failures = Counts{c.Items, c.Completed, c.Failed}, output, failures
		switch r.Status = end; end {
		case completed:
			r.Completed = now()
		case cancelled:
			r.Cancelled = now()
		case expired:
			r.Expired = now()
		case failed:
			r.Failed, r.Errors = now(), &Faults{"list", []Fault{{Code: rest.Code, Message: cause.Error()}}}
		}
	})
	if err == nil {
		s.told(b)
	}
	return err
}

// adopt keeps the files of a batch, and returns the ids of those that have lines.
func (s *Service) adopt(b *batch, c bulk.Counts) (output, failures *string, err error) {
	r := b.now()
	for _, f := range []struct {
		id, name string
		lines    int64
		to       **string
	}{{r.Out, "_output.jsonl", c.Completed, &output}, {r.Bad, "_error.jsonl", c.Failed, &failures}} {
		if f.lines == 0 {
			_ = os.Remove(s.files.ContentPath(f.id)) // or after the next start
			continue
		}
		if _, err := s.files.Adopt(f.id, r.User, r.ID+f.name, purposeOutput); err != nil && !errors.Is(err, os.ErrNotExist) { // its user has deleted it already
			return nil, nil, err
		}
		*f.to = &f.id
	}
	return output, failures, nil
}

// told logs what has become of a batch.
func (s *Service) told(b *batch) {
	t := b.tell()
	s.o.Log.LogAttrs(context.WithoutCancel(s.ctx), slog.LevelInfo, "batch", slog.String("batch", t.ID), slog.String("user", b.now().User),
		slog.String("status", t.Status), slog.Int64("total", t.Counts.Total), slog.Int64("completed", t.Counts.Completed),
		slog.Int64("failed", t.Counts.Failed))
}

func now() *int64 {
	t := time.Now().Unix()
	return &t
}
