package batches

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// The states of a batch.
const (
	validating = "validating"
	inProgress = "in_progress"
	finalizing = "finalizing"
	completed  = "completed"
	failed     = "failed"
	expired    = "expired"
	cancelling = "cancelling"
	cancelled  = "cancelled"
)

// Batch is what clients are told of a batch.
type Batch struct {
	ID         string            `json:"id"`
	Object     string            `json:"object"` // batch
	Endpoint   string            `json:"endpoint"`
	Errors     *Faults           `json:"errors"` // by which the batch failed
	Input      string            `json:"input_file_id"`
	Window     string            `json:"completion_window"`
	Status     string            `json:"status"`
	Output     *string           `json:"output_file_id"`
	Failures   *string           `json:"error_file_id"`
	Created    int64             `json:"created_at"` // in seconds since 1970, as all times
	Began      *int64            `json:"in_progress_at"`
	Expires    int64             `json:"expires_at"`
	Finalizing *int64            `json:"finalizing_at"`
	Completed  *int64            `json:"completed_at"`
	Failed     *int64            `json:"failed_at"`
	Expired    *int64            `json:"expired_at"`
	Cancelling *int64            `json:"cancelling_at"`
	Cancelled  *int64            `json:"cancelled_at"`
	Counts     Counts            `json:"request_counts"`
	Metadata   map[string]string `json:"metadata"`
}

// Counts are those of a batch's requests.
type Counts struct {
	Total     int64 `json:"total"`
	Completed int64 `json:"completed"`
	Failed    int64 `json:"failed"`
}

// Faults are why a batch failed.
type Faults struct {
	Object string  `json:"object"` // list
	Data   []Fault `json:"data"`
}

// Fault is one of them.
type Fault struct {
	Code    string  `json:"code"`
	Message string  `json:"message"`
	Param   *string `json:"param"`
	Line    *int64  `json:"line"` // of the input, from 1; nil for the batch as a whole
}

// record is a batch as its file has it.
type record struct {
	Batch
	User     string `json:"user"`
	Settings string `json:"settings"` // of the server that began it, see bulk.Options
	Out      string `json:"out"`      // id of the file of results, if there will be one
	Bad      string `json:"bad"`      // likewise of failures
	Order    int64  `json:"order"`    // by which batches are listed: they were made in this order
}

// over reports whether nothing more will change.
func (r *record) over() bool {
	switch r.Status {
	case completed, failed, expired, cancelled:
		return true
	}
	return false
}

// batch is a batch under way or over.
type batch struct {
	dir     string                 // of its files
	record  atomic.Pointer[record] // as its file has it; what it points to does not change
	writing sync.Mutex             // is held while another record is made and written

	mu     sync.Mutex
	cancel func(cause error) // of the run; nil before
}

// now returns what the batch is at this moment.
func (b *batch) now() *record { return b.record.Load() }

const (
	recordName = "batch.json"
	mostRecord = 1 << 20 // bytes
)

// readBatch reads a batch from its folder.
func readBatch(dir string) (*batch, error) {
	data, err := files.ReadRegular(filepath.Join(dir, recordName), mostRecord)
	if err != nil {
		return nil, err
	}
	r := new(record)
	if err := json.Unmarshal(data, r); err != nil || r.ID != filepath.Base(dir) {
		return nil, errors.New("not a batch, or a broken one")
	}
	return newBatch(dir, r), nil
}

func newBatch(dir string, r *record) *batch {
	b := &batch{dir: dir}
	b.record.Store(r)
	return b
}

// change makes another record by f. It is written before anybody is told of it: no end of the process takes back what a
// client knows. After an error the record is what it was.
func (b *batch) change(f func(*record)) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	r := *b.now()
	f(&r)
	data, err := json.Marshal(&r)
	if err != nil {
		return err
	}
	if err := files.Keep(filepath.Join(b.dir, recordName), data, true); err != nil {
		return err
	}
	b.record.Store(&r)
	return nil
}

// tell returns what a client is told.
func (b *batch) tell() Batch {
	r := b.now()
	t := r.Batch
	if !r.over() { // until then the files are not there
		t.Output, t.Failures = nil, nil
	}
	return t
}
