package eval

import (
	"context"
	"errors"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/bench"
	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/model"
)

// Row is what a quantization costs and saves.
type Row struct {
	Quant        string  `json:"quant"`
	Bits         float64 `json:"bits_per_weight"` // of the whole model as it is loaded
	WeightsBytes int     `json:"weights_bytes"`
	DeviceBytes  int     `json:"device_bytes,omitempty"` // buffers of a Vulkan device while text is written
	*Result
	Change  *Change      `json:"change,omitempty"`               // of the perplexity, from the first row's; nil for choices
	Prefill *bench.Rates `json:"prefill_tokens_per_s,omitempty"` // nil if not measured
	Decode  *bench.Rates `json:"decode_tokens_per_s,omitempty"`
}

// Table has a row for each of some quantizations of a model. The first is what the others are compared with.
type Table struct {
	Device string `json:"device"`
	Driver string `json:"driver,omitempty"`
	Model  string `json:"model"`
	Rows   []Row  `json:"rows"`
}

// Quants measures quantizations.
type Quants struct {
	// Open opens the model with a quantization. close is called when the model is not needed any more.
	Open func(quant string) (m *model.Model, close func() error, err error)
	// Device opens the device that models run on. It is called once for each model.
	Device func() (*device.Device, error)
	// Options returns the options of an engine that runs the task's items.
	Options engine.Options
	// KL asks for Result.KL. The first model stays loaded beside each of the others.
	KL bool
	// Speed says how to measure speed: one length of PP, and one of TG. A Repeat of 0 leaves it out.
	Speed    bench.Options
	Progress func(what string, done, all int64) // may be nil
}

// loaded is a model on a device.
type loaded struct {
	model  *model.Model
	device *device.Device
	engine *engine.Engine
	scores [][]Score
	end    []func() error
}

func (l *loaded) close() error {
	var err error
	for i := len(l.end) - 1; i >= 0; i-- {
		err = errors.Join(err, l.end[i]())
	}
	return err
}

// Run runs the task with each of the quantizations, at least one.
func (q *Quants) Run(ctx context.Context, task Task, quants []string) (t *Table, err error) {
	t = new(Table)
	var first *loaded
	for _, quant := range quants {
		now, row, err := q.measure(ctx, task, quant, first)
		if err != nil {
			if first != nil {
				err = errors.Join(err, first.close())
			}
			return nil, err
		}
		t.Rows = append(t.Rows, *row)
		switch {
		case first == nil:
			first = now
			t.Device, t.Driver, t.Model = now.engine.Device(), now.device.Driver(), now.model.File.Path
			if !q.KL { // its scores are enough
				err = now.close()
				now.end = nil
			}
		default:
			err = now.close()
		}
		if err != nil {
			return nil, errors.Join(err, first.close())
		}
	}
	return t, first.close()
}

// measure makes the row of a quantization. What it returns is open.
func (q *Quants) measure(ctx context.Context, task Task, quant string, first *loaded) (now *loaded, row *Row, err error) {
	now = new(loaded)
	defer func() {
		if err != nil {
			err = errors.Join(err, now.close())
		}
	}()
	m, end, err := q.Open(quant)
	if err != nil {
		return now, nil, err
	}
	now.model, now.end = m, append(now.end, end)
	if now.device, err = q.Device(); err != nil {
		return now, nil, err
	}
	now.end = append(now.end, now.device.Close)
	_, bytes := m.Bytes()
	row = &Row{Quant: quant, WeightsBytes: bytes, Bits: 8 * float64(bytes) / float64(m.Parameters())}
	if err := q.speed(ctx, now, row); err != nil {
		return now, nil, err
	}
	if now.engine, err = engine.New(m, now.device, q.Options); err != nil {
		return now, nil, err
	}
	now.end = append(now.end, now.engine.Close)
	s := Scorer{Engine: now.engine, Progress: func(done, all int64) {
		if q.Progress != nil {
			q.Progress(quant+": reading", done, all)
		}
	}}
	if first != nil && q.KL {
		s.Stored = first.engine
	}
	if now.scores, err = s.Run(ctx, task.Items()); err != nil {
		return now, nil, err
	}
	row.Result = task.Result(now.scores)
	if first != nil {
		row.Change = task.Change(first.scores, now.scores)
	}
	return now, row, nil
}

// speed measures how fast the model is, if that is asked for.
func (q *Quants) speed(ctx context.Context, now *loaded, row *Row) error {
	if q.Speed.Repeat == 0 {
		return nil
	}
	o := q.Speed
	o.Progress = func(what string, done, all int64) {
		if q.Progress != nil {
			q.Progress(row.Quant+": "+what, done, all)
		}
	}
	r, err := bench.Run(ctx, now.model, now.device, o)
	if err != nil {
		return err
	}
	row.DeviceBytes = r.Memory.DeviceBytes
	for i := range r.Results {
		if rates := &r.Results[i].Rates; strings.HasPrefix(r.Results[i].Test, "pp") {
			row.Prefill = rates
		} else {
			row.Decode = rates
		}
	}
	return nil
}
