// Package vulkan runs programs on a Vulkan device. Everything that an op needs is uploaded once; what a batch of some
// shape does is recorded once and submitted again whenever that shape recurs.
package vulkan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Options sets what New makes.
type Options struct {
	Sizes    op.Sizes
	Guard    int                         // see op.NewPlan
	Progress func(done, all int64) error // bytes of weights uploaded; an error ends New; may be nil
	MatMul   MatMulKernel                // Auto but in tests
	Loads    profile.Loads               // Measured but in tests
	Draws    Draws                       // FasterDraws but in tests
	Recur    Recurrence                  // FasterRecurrence but in tests
	Tuner    *Tuner                      // nil: products and recurrences run in their usual forms
	Exact    bool                        // a token's numbers do not depend on the other tokens of its batch
}

// Exec runs a program on a device. It implements op.Prober.
type Exec struct {
	dev     *gpu.Device
	matMul  MatMulKernel
	loads   profile.Loads
	draws   Draws
	recur   Recurrence
	exact   bool
	prog    *op.Program
	plan    *op.Plan
	kernels *Kernels
	tuner   *Tuner
	on      string // begins the tuner's keys: device, driver, way to load
	ops     prepared
	panels  panelRoom

	buffers   []*gpu.Buffer // all, for Close
	weights   []*gpu.Buffer
	scratch   *gpu.Buffer
	state     *gpu.Buffer
	params    *gpu.Buffer
	parts     *gpu.Buffer // nil without MatMul
	tables    tables
	chunks    *gpu.Buffer // of a recurrence; nil before one is done by chunks
	logits    *gpu.Buffer // readback [outs, Stride(vocab)]; nil without logits
	transfers transfers
	initial   []float32 // state of a slot
	ran       []string  // see Kernels

	batch  op.Batch
	shapes passCache[shape]
	decode decoding

	now             func() time.Time // time.Now but in tests
	known           known
	rowWork         rowWork
	waited, longest time.Duration // see Waited and LongestSubmission
}

var _ op.Prober = (*Exec)(nil)

// New uploads the program's weights to the kernels' device and returns an executor for it. The kernels must outlive it.
func New(k *Kernels, prog *op.Program, o Options) (*Exec, error) {
	e := &Exec{dev: k.dev, kernels: k, matMul: o.MatMul, draws: o.Draws, recur: o.Recur, exact: o.Exact, tuner: o.Tuner, prog: prog, plan: op.NewPlan(prog, o.Sizes, o.Guard), now: time.Now}
	e.rowWork = rowWorkOf(prog)
	e.transfers.dev = k.dev
	e.shapes = passCache[shape]{most: maxShapes, record: e.recordForward}
	e.decode.shapes = passCache[decodeShape]{most: maxDecodeShapes, record: e.recordDecode}
	if err := e.make(o); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func (e *Exec) make(o Options) error {
	var err error
	if e.loads = o.Loads; e.loads == profile.Measured {
		if e.loads, err = e.kernels.measure(e.tuner); err != nil {
			return err
		}
	}
	info := e.dev.Info()
	e.on = fmt.Sprintf("%s | %s | %s | ", info.Name, info.Driver, e.loads)
	if err := e.prepare(o.Progress); err != nil {
		return err
	}
	if e.scratch, err = e.buffer("scratch", 4*max(e.plan.Scratch, op.Align), gpu.DeviceLocal); err != nil {
		return err
	}
	if e.state, err = e.buffer("state", 4*max(e.plan.State, op.Align), gpu.DeviceLocal); err != nil {
		return err
	}
	if err := e.tables.make(e); err != nil {
		return err
	}
	if l := e.prog.Logits; l != nil {
		if e.logits, err = e.buffer("logits", 4*e.plan.Extent(l), gpu.Readback); err != nil {
			return err
		}
	}
	if err := e.clear(); err != nil {
		return err
	}
	if e.initial, err = e.prog.InitialState(); err != nil {
		return err
	}
	return e.resetAll()
}

// buffer makes a buffer that Close releases.
func (e *Exec) buffer(name string, size int, m gpu.Memory) (*gpu.Buffer, error) {
	b, err := e.dev.NewBuffer(name, size, m)
	if err != nil {
		return nil, err
	}
	e.buffers = append(e.buffers, b)
	return b, nil
}

// clear zeroes the arenas: kernels may read padding, which has to be finite.
func (e *Exec) clear() error {
	rec := e.dev.NewRecording()
	rec.SetName("clearing of scratch and state")
	rec.Fill(e.scratch.All(), 0)
	rec.Fill(e.state.All(), 0)
	return rec.Run()
}

// Close releases everything on the device.
func (e *Exec) Close() error {
	e.shapes.release()
	e.decode.release()
	e.releasePanels()
	e.transfers.release()
	for _, b := range e.buffers {
		b.Release()
	}
	e.buffers, e.weights, e.scratch = nil, nil, nil
	return nil
}

// Device returns the device's name.
func (e *Exec) Device() string { return e.dev.Info().Name }

// Plan returns where scratch and state lie in their buffers.
func (e *Exec) Plan() *op.Plan { return e.plan }

// Forward runs the whole program over b and waits.
func (e *Exec) Forward(b *op.Batch) error { return e.ForwardContext(context.Background(), b) }

// ForwardContext is Forward until ctx is done, which is noticed between submissions.
func (e *Exec) ForwardContext(ctx context.Context, b *op.Batch) error {
	if err := e.stage(b); err != nil {
		return err
	}
	p, err := settled(ctx, e, &e.shapes, shape{len(b.Tokens), len(b.Seqs), len(b.Outs)})
	if err != nil {
		return err
	}
	return e.run(ctx, p, len(b.Tokens))
}

// Prepare does for a batch like b what ForwardContext does before it runs it: it records the pass and, as far as there is
// time, measures which forms are its fastest.
func (e *Exec) Prepare(ctx context.Context, b *op.Batch) error {
	if err := e.stage(b); err != nil {
		return err
	}
	_, err := settled(ctx, e, &e.shapes, shape{len(b.Tokens), len(b.Seqs), len(b.Outs)})
	return err
}

// Settled tells whether more measuring could change the form of a pass that was run.
func (e *Exec) Settled() bool {
	return e.tuner == nil || e.tuner.Budget <= 0 || e.shapes.settled() && e.decode.shapes.settled()
}

// errClosed is what every call after Close returns.
var errClosed = fmt.Errorf("vulkan: %w", op.ErrClosed)

func (e *Exec) checkOpen() error {
	if e.scratch == nil {
		return errClosed
	}
	return nil
}

// stage checks b and writes its tables where the next submission reads them.
func (e *Exec) stage(b *op.Batch) error {
	if err := e.checkOpen(); err != nil {
		return err
	}
	if err := b.Check(e.prog, e.plan.Sizes); err != nil {
		return err
	}
	e.tables.write(b)
	return nil
}

// Logits returns the logits of the last batch's i-th out, in mapped memory.
func (e *Exec) Logits(i int) []float32 {
	l := e.prog.Logits
	return gpu.Float32s(e.logits.Bytes())[i*l.Stride():][:l.Width]
}

// tables are the batch's tables, written by the host and copied to the device at the start of each submission.
type tables struct {
	host, dev                           *gpu.Buffer
	tokens, rowSeq, spans, outs         gpu.Range // in dev
	hostWords                           []uint32
	tokensAt, rowSeqAt, spansAt, outsAt int
}

func (t *tables) make(e *Exec) error {
	s := e.plan.Sizes
	words := 0
	place := func(n int) (at int) {
		at = words
		words += (max(n, 1) + op.Align - 1) / op.Align * op.Align
		return at
	}
	t.tokensAt, t.rowSeqAt, t.spansAt, t.outsAt = place(s.Rows), place(s.Rows), place(3*s.Seqs), place(s.Outs)
	var err error
	if t.host, err = e.buffer("tables (host)", 4*words, gpu.Upload); err != nil {
		return err
	}
	if t.dev, err = e.buffer("tables", 4*words, gpu.DeviceLocal); err != nil {
		return err
	}
	t.hostWords = gpu.Uint32s(t.host.Bytes())
	part := func(at, n int) gpu.Range { return t.dev.Range(4*at, 4*max(n, 1)) }
	t.tokens, t.rowSeq = part(t.tokensAt, s.Rows), part(t.rowSeqAt, s.Rows)
	t.spans, t.outs = part(t.spansAt, 3*s.Seqs), part(t.outsAt, s.Outs)
	return nil
}

func (t *tables) write(b *op.Batch) {
	copy(t.hostWords[t.tokensAt:], b.Tokens)
	copy(t.hostWords[t.rowSeqAt:], b.RowSeq)
	for i, q := range b.Seqs {
		copy(t.hostWords[t.spansAt+3*i:], []uint32{q.Slot, q.Start, q.Len})
	}
	copy(t.hostWords[t.outsAt:], b.Outs)
}

// shape is what decides the commands of a batch: the numbers of rows, sequences and outs.
type shape struct{ rows, seqs, outs int }

func (s shape) count(k op.Kind) int {
	switch k {
	case op.Row:
		return s.rows
	case op.Seq:
		return s.seqs
	}
	return s.outs
}

// maxShapes bounds the passes kept.
const maxShapes = 64

// recorder records ops for batches of one shape. It implements op.Backend.
type recorder struct {
	*Exec
	rec   *gpu.Recording
	shape shape
	whole bool // all steps: the scratch holds nothing that they need
	work  float64
	open  []wish
	// The steps are some of all, which run before and after them: shifts may be committed in place.
	inPlace bool
}

// wish notes what is to be measured for the pass. For a few tokens of one sequence, the rest of a prompt, it would take
// longer than it could ever save.
func (r *recorder) wish(w *wish) {
	rest := r.shape.seqs == 1 && r.shape.rows > 1 && r.shape.rows <= fewTokens
	if w != nil && !rest && !slices.ContainsFunc(r.open, func(have wish) bool { return have.key == w.key }) {
		r.open = append(r.open, *w)
	}
}

var _ op.Backend = (*recorder)(nil)

// recordForward records the program for batches of a shape, in parts.
func (e *Exec) recordForward(s shape, parts int) (*pass, error) {
	return e.recordPass(describePass(s), s, max(len(e.prog.Steps), 1), parts, e.beginForward, (*recorder).unit,
		func(rec *gpu.Recording) { e.copyLogits(rec, s.outs) })
}

func (e *Exec) beginForward(rec *gpu.Recording) { rec.Copy(e.tables.dev.All(), e.tables.host.All()) }

// copyLogits records the copy of some outs' logits to the host.
func (e *Exec) copyLogits(rec *gpu.Recording, outs int) {
	if l := e.prog.Logits; l != nil && outs > 0 {
		size := 4 * outs * l.Stride()
		rec.Copy(e.logits.Range(0, size), e.scratch.Range(4*e.plan.Offset[l.ID], size))
	}
}

// unit records one step of the program; past the last, nothing.
func (r *recorder) unit(i int) error {
	if i >= len(r.prog.Steps) {
		return nil
	}
	step := &r.prog.Steps[i]
	r.expect(work(step.Op, r.shape))
	if err := step.Op.Apply(r); err != nil {
		return fmt.Errorf("%s: %w", step.Name, err)
	}
	return nil
}

// record records the steps [from, to) alone.
func (e *Exec) record(s shape, from, to int) (*gpu.Commands, error) {
	return e.alone(s, from, to).steps(from, to, false)
}

// alone returns the recorder of the steps [from, to), before and after which nothing runs.
func (e *Exec) alone(s shape, from, to int) *recorder {
	all := to-from == len(e.prog.Steps)
	return &recorder{Exec: e, rec: e.dev.NewRecording(), shape: s, whole: all, inPlace: all}
}

// steps records the steps [from, to), if asked for with a timestamp before the first and after each.
func (r *recorder) steps(from, to int, stamped bool) (*gpu.Commands, error) {
	r.rec.SetName(describePass(r.shape) + ", " + r.describeSteps(from, to))
	r.beginForward(r.rec)
	if stamped {
		r.rec.Timestamp(0)
	}
	for i := from; i < to; i++ {
		if err := r.unit(i); err != nil {
			return nil, err
		}
		if stamped {
			r.rec.Timestamp(i - from + 1)
		}
	}
	if to == len(r.prog.Steps) {
		r.copyLogits(r.rec, r.shape.outs)
	}
	return r.rec.End()
}

// scratchOf returns where a scratch operand's vectors lie.
func (e *Exec) scratchOf(o *op.Operand) gpu.Range {
	return e.scratch.Range(4*e.plan.Offset[o.ID], 4*e.plan.Extent(o))
}

// stateOf returns where a state operand's vectors lie.
func (e *Exec) stateOf(o *op.Operand) gpu.Range {
	return e.state.Range(4*e.plan.Offset[o.ID], 4*e.plan.Extent(o))
}
