package bulk

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"golang.org/x/sync/semaphore"
)

// Worker answers requests: by a model of this process, or one that is reached over a network. Its method may be called by
// any number of goroutines at once.
type Worker interface {
	// Do answers a request. Its error says that there is no answer, and stops the job: that of the context, or that nobody
	// can answer any more. A request that cannot be answered for its own reasons has an Answer that says so.
	Do(ctx context.Context, r *Request) (Answer, error)
}

// Answer is what a request came to.
type Answer struct {
	Status int    // of HTTP
	ID     string // of the request, in logs
	Body   []byte // JSON
	Tokens Tokens
}

// Tokens counts what answers took.
type Tokens struct {
	Prompt int64 `json:"prompt_tokens"` // of prompts
	Cached int64 `json:"cached_tokens"` // of these, how many were not read, since a state was kept after them
	Drawn  int64 `json:"drawn_tokens"`
}

func (t *Tokens) add(u Tokens) {
	t.Prompt, t.Cached, t.Drawn = t.Prompt+u.Prompt, t.Cached+u.Cached, t.Drawn+u.Drawn
}

// Budget bounds what is worked on at once, by all jobs that share it. They take turns.
type Budget struct {
	answers, tokens         *semaphore.Weighted
	mostAnswers, mostTokens int64
}

// NewBudget returns a budget of so many answers and, about, so many tokens of prompts and answers together. An item that
// is larger than the budget is worked on alone.
func NewBudget(answers, tokens int64) *Budget {
	return &Budget{semaphore.NewWeighted(answers), semaphore.NewWeighted(tokens), answers, tokens}
}

// take waits until there is room.
func (b *Budget) take(ctx context.Context, c cost) (give func(), err error) {
	answers, tokens := min(c.answers, b.mostAnswers), min(c.tokens, b.mostTokens)
	if err := b.answers.Acquire(ctx, answers); err != nil {
		return nil, err
	}
	if err := b.tokens.Acquire(ctx, tokens); err != nil {
		b.answers.Release(answers)
		return nil, err
	}
	return func() {
		b.tokens.Release(tokens)
		b.answers.Release(answers)
	}, nil
}

// Progress is how far a run has come.
type Progress struct {
	Counts
	Tokens // that this run took
}

// Run does the items that have no result, and returns once all have one. told, if not nil, is told of each. When ctx is
// done, or the worker or the disk fails, items that are under way end without results, and Run returns the error: the job
// can go on later.
func (j *Job) Run(ctx context.Context, w Worker, b *Budget, told func(Progress)) error {
	if j.head.Done {
		return nil
	}
	in, err := openLines(j.o.Input, j.o.MostLine, &j.rules)
	if err != nil {
		return err
	}
	defer in.close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run{job: j, worker: w, told: told}
	stopped := j.startSync(cancel)
	err = r.all(ctx, cancel, in, b)
	if err != nil {
		cancel(err)
	}
	r.working.Wait()
	stopped()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return nil
}

// run is one Run.
type run struct {
	job     *Job
	worker  Worker
	told    func(Progress)
	working sync.WaitGroup

	mu     sync.Mutex
	tokens Tokens
}

// all begins all items.
func (r *run) all(ctx context.Context, cancel func(error), in *lines, b *Budget) error {
	for {
		it, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		switch {
		case err != nil:
			return err
		case it.index >= r.job.head.Input.Items:
			return fmt.Errorf("%s: %w", r.job.o.Input, ErrChanged)
		case r.job.hasResult(it.index):
			continue
		case it.fault != nil:
			if err := r.keep(&it, failed, faulty(&it, it.fault.Code, it.fault.Message), Tokens{}); err != nil {
				return err
			}
			continue
		}
		give, err := b.take(ctx, it.cost)
		if err != nil {
			return err
		}
		r.working.Add(1)
		go func() {
			defer r.working.Done()
			defer give()
			if err := r.do(ctx, &it); err != nil {
				cancel(err)
			}
		}()
	}
	if in.index != r.job.head.Input.Items {
		return fmt.Errorf("%s: %w", r.job.o.Input, ErrChanged)
	}
	return nil
}

// do does an item.
func (r *run) do(ctx context.Context, it *item) error {
	a, err := r.worker.Do(ctx, &it.Request)
	if err != nil {
		return err
	}
	kind := byte(succeeded)
	if a.Status != http.StatusOK {
		kind = failed
	}
	if !json.Valid(a.Body) {
		kind, a.Body = failed, []byte("null")
	}
	return r.keep(it, kind, &result{ID: newID(), CustomID: &it.ID, Response: &response{a.Status, a.ID, a.Body}}, a.Tokens)
}

// keep writes a result down.
func (r *run) keep(it *item, kind byte, what *result, t Tokens) error {
	text, err := what.line()
	if err != nil {
		return err
	}
	if err := r.job.journal.add(it.index, kind, text); err != nil {
		return err
	}
	r.job.note(it.index, kind)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens.add(t)
	if r.told != nil {
		r.told(Progress{r.job.Counts(), r.tokens})
	}
	return nil
}

// result is a line of the output.
type result struct {
	ID       string    `json:"id"`
	CustomID *string   `json:"custom_id"`
	Response *response `json:"response"`
	Error    *failure  `json:"error"`
}

type response struct {
	Status int             `json:"status_code"`
	ID     string          `json:"request_id"`
	Body   json.RawMessage `json:"body"`
}

// failure is why an item was not asked for.
type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// faulty returns the result of an item that was not asked for.
func faulty(it *item, code, message string) *result {
	r := &result{ID: newID(), Error: &failure{code, message}}
	if it.ID != "" {
		r.CustomID = &it.ID
	}
	return r
}

// line returns the result in one line, without its end.
func (r *result) line() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(r)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
}

func newID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return "batch_req_" + hex.EncodeToString(b[:])
}
