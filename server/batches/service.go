package batches

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/rwkv-gpu/rwkv-gpu/bulk"
	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/uploads"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// Options say what a service keeps and how it works.
type Options struct {
	Dir     string          // the folder of files and batches; "" for a service that keeps none and refuses all requests
	Uploads uploads.Options // without Dir and Made
	Worker  bulk.Worker
	Budget  *bulk.Budget
	URLs    []string // that batches may be for
	Line    int64    // most bytes of a request
	// Settings says what answers depend on besides requests. A batch does not go on with others.
	Settings string
	Log      *slog.Logger
	Fail     func(w http.ResponseWriter, e *wire.Error)
}

// Bounds of what a user has.
const (
	mostItems = 50_000 // requests of a batch, as OpenAI has it
	mostOpen  = 100    // batches that are not over
	mostKept  = 2_000  // batches that are over; the oldest make room
	together  = 2      // batches that are worked on at once
)

// Service keeps files and works on batches.
type Service struct {
	o     Options
	lock  *flock.Flock
	files *uploads.Store

	mu      sync.Mutex
	batches map[string]*batch
	last    int64 // record.Order
	turns   map[string]chan struct{}
	ctx     context.Context // nil until Start
	working sync.WaitGroup
}

// Open returns the service of a folder, which is one process's at a time. Files in it that are none of the service's stay,
// and broken is told of them.
func Open(o Options, broken func(path string, err error)) (*Service, error) {
	s := &Service{o: o, batches: map[string]*batch{}, turns: map[string]chan struct{}{}}
	if o.Dir == "" {
		return s, nil
	}
	if err := os.MkdirAll(s.path(""), 0o700); err != nil {
		return nil, err
	}
	s.lock = flock.New(filepath.Join(o.Dir, "lock"))
	held, err := s.lock.TryLock()
	if err == nil && !held {
		err = fmt.Errorf("%s: another process has this folder", o.Dir)
	}
	if err != nil {
		return nil, err
	}
	if err := s.recall(broken); err != nil {
		return nil, errors.Join(err, s.lock.Unlock())
	}
	return s, nil
}

// path returns the folder of a batch.
func (s *Service) path(id string) string { return filepath.Join(s.o.Dir, "batches", id) }

// recall reads what is there.
func (s *Service) recall(broken func(string, error)) (err error) {
	list, err := os.ReadDir(s.path(""))
	if err != nil {
		return err
	}
	made := map[string]bool{} // files that batches will adopt
	for _, e := range list {
		b, err := readBatch(s.path(e.Name()))
		if errors.Is(err, os.ErrNotExist) { // a killed process did not come to write it, or to remove the rest
			_ = os.RemoveAll(s.path(e.Name()))
			continue
		}
		if err != nil {
			broken(s.path(e.Name()), err)
			continue
		}
		files.Sweep(b.dir, func(name string) bool { return name == recordName })
		r := b.now()
		s.batches[r.ID] = b
		s.last = max(s.last, r.Order)
		made[r.Out], made[r.Bad] = true, true
	}
	u := s.o.Uploads
	u.Dir, u.Made = filepath.Join(s.o.Dir, "files"), func(id string) bool { return made[id] }
	s.files, err = uploads.Open(u, broken)
	return err
}

// Start works on batches until ctx is done, those that are there first.
func (s *Service) Start(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ctx = ctx
	for _, b := range s.sorted(func(r *record) bool { return !r.over() }) {
		s.begin(b)
	}
}

// Close waits until the work has stopped, which it does when the context of Start is done, and gives the folder back.
func (s *Service) Close() error {
	s.working.Wait()
	if s.lock == nil {
		return nil
	}
	return s.lock.Unlock()
}

// sorted lists batches by age, the oldest first. The lock is held.
func (s *Service) sorted(good func(*record) bool) (list []*batch) {
	for _, b := range s.batches {
		if good(b.now()) {
			list = append(list, b)
		}
	}
	slices.SortFunc(list, func(a, b *batch) int { return cmp.Compare(a.now().Order, b.now().Order) }) // which never changes
	return list
}

// begin begins the work on a batch. The lock is held.
func (s *Service) begin(b *batch) {
	user := b.now().User
	turn := s.turns[user]
	if turn == nil {
		turn = make(chan struct{}, together)
		s.turns[user] = turn
	}
	ctx, cancel := context.WithCancelCause(s.ctx)
	b.mu.Lock()
	b.cancel = cancel
	b.mu.Unlock()
	if b.now().Status == cancelling {
		cancel(errCancelled)
	}
	s.working.Add(1)
	go func() {
		defer s.working.Done()
		defer cancel(nil)
		s.work(ctx, b, turn)
	}()
}

// Stats counts batches that are not over, and files with their bytes.
func (s *Service) Stats() (open, kept int, bytes int64) {
	if s.files == nil {
		return 0, 0, 0
	}
	s.mu.Lock()
	open = len(s.sorted(func(r *record) bool { return !r.over() }))
	s.mu.Unlock()
	kept, bytes = s.files.Stats()
	return open, kept, bytes
}

// make makes a batch of a user's.
func (s *Service) make(user string, q *BatchRequest, window time.Duration) (*batch, *wire.Error) {
	now := time.Now()
	r := &record{User: user, Settings: s.o.Settings, Out: s.files.NewID(), Bad: s.files.NewID(), Batch: Batch{ID: api.NewID("batch_"), Object: "batch",
		Endpoint: q.Endpoint, Input: q.Input, Window: q.Window, Status: validating, Created: now.Unix(), Expires: now.Add(window).Unix(), Metadata: q.Metadata}}
	b := newBatch(s.path(r.ID), r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx == nil || s.ctx.Err() != nil {
		return nil, api.Fault(api.ErrClosing)
	}
	if _, err := s.files.Info(user, q.Input); err != nil { // it was deleted meanwhile
		return nil, s.fileFault("input_file_id", err)
	}
	if n := len(s.sorted(func(x *record) bool { return x.User == user && !x.over() })); n >= mostOpen {
		return nil, &wire.Error{Status: http.StatusTooManyRequests, Code: "too_many_batches",
			Message: fmt.Sprintf("this key has %d batches that are not over, and may have no more: try again later", n)}
	}
	old := s.sorted(func(x *record) bool { return x.User == user && x.over() })
	for len(old) >= mostKept {
		s.forget(old[0])
		old = old[1:]
	}
	s.last++
	r.Order = s.last
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		return nil, s.diskFault(err)
	}
	if err := b.change(func(*record) {}); err != nil {
		_ = os.RemoveAll(b.dir) // or after the next start
		return nil, s.diskFault(err)
	}
	files.SyncFolder(s.path(""))
	s.batches[r.ID] = b
	s.begin(b)
	return b, nil
}

// forget removes a batch that is over. Its files stay. The lock is held.
func (s *Service) forget(b *batch) {
	delete(s.batches, b.now().ID)
	_ = os.Remove(filepath.Join(b.dir, recordName)) // the rest goes now or after the next start
	_ = os.RemoveAll(b.dir)
}

// find returns a user's batch.
func (s *Service) find(user, id string) (*batch, *wire.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.batches[id]; b != nil && b.now().User == user {
		return b, nil
	}
	return nil, &wire.Error{Status: http.StatusNotFound, Param: "id", Code: "batch_not_found", Message: "id: there is no batch of this id"}
}

// diskFault returns the error of HTTP for one of the disk, whose text only the log has: it may name folders.
func (s *Service) diskFault(err error) *wire.Error {
	if full(err) {
		return &wire.Error{Status: http.StatusServiceUnavailable, Code: "disk_full", Cause: err,
			Message: "the server's disk is full: try again later"}
	}
	return &wire.Error{Status: http.StatusInternalServerError, Message: "the server failed; its log says more", Code: "internal", Cause: err}
}
