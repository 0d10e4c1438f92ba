package vulkan

import (
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// memory is what an executor holds on the device.
type memory struct {
	dev     *gpu.Device
	weights []*gpu.Buffer
	buffers []*gpu.Buffer // all others
	scratch *gpu.Buffer   // nil after release
	state   *gpu.Buffer
	logits  *gpu.Buffer // readback [outs, Stride(vocab)]; nil without logits
	tables  tables
	at      kernel.Places
}

// make makes all memory but the weights. Arenas are zeroed, since kernels may read padding, which has to be finite.
func (m *memory) make(dev *gpu.Device, prog *op.Program, plan *op.Plan) (err error) {
	m.dev = dev
	if m.scratch, err = m.buffer("scratch", 4*max(plan.Scratch, op.Align), gpu.DeviceLocal); err != nil {
		return err
	}
	if m.state, err = m.buffer("state", 4*max(plan.State, op.Align), gpu.DeviceLocal); err != nil {
		return err
	}
	if err := m.tables.make(m, plan.Sizes); err != nil {
		return err
	}
	if l := prog.Logits; l != nil {
		if m.logits, err = m.buffer("logits", 4*plan.Extent(l), gpu.Readback); err != nil {
			return err
		}
	}
	t := &m.tables
	m.at = kernel.Places{Plan: plan, Scratch: m.scratch, State: kernel.StatesIn(m.state, 0, prog, plan),
		Tokens: t.tokens, RowSeq: t.rowSeq, Spans: t.spans, Outs: t.outs}
	rec := dev.NewRecording()
	rec.SetName("clearing of scratch and state")
	rec.Fill(m.scratch.All(), 0)
	rec.Fill(m.state.All(), 0)
	return rec.Run()
}

// buffer makes a buffer that release frees.
func (m *memory) buffer(name string, size int, kind gpu.Memory) (*gpu.Buffer, error) {
	b, err := m.dev.NewBuffer(name, size, kind)
	if err == nil {
		m.buffers = append(m.buffers, b)
	}
	return b, err
}

func (m *memory) release() {
	for _, b := range append(m.weights, m.buffers...) {
		b.Release()
	}
	m.weights, m.buffers, m.scratch = nil, nil, nil
}

// tables are the batch's tables. The host writes them, and each submission begins with a copy of them to the device.
type tables struct {
	host, dev                           *gpu.Buffer
	tokens, rowSeq, spans, outs         gpu.Range // in dev
	hostWords                           []uint32
	tokensAt, rowSeqAt, spansAt, outsAt int
}

func (t *tables) make(m *memory, s op.Sizes) error {
	words := 0
	place := func(n int) (at int) {
		at = words
		words += (max(n, 1) + op.Align - 1) / op.Align * op.Align
		return at
	}
	t.tokensAt, t.rowSeqAt, t.spansAt, t.outsAt = place(s.Rows), place(s.Rows), place(glsl.SpanWords*s.Seqs), place(s.Outs)
	var err error
	if t.host, err = m.buffer("tables (host)", 4*words, gpu.Upload); err != nil {
		return err
	}
	if t.dev, err = m.buffer("tables", 4*words, gpu.DeviceLocal); err != nil {
		return err
	}
	t.hostWords = gpu.Uint32s(t.host.Bytes())
	part := func(at, n int) gpu.Range { return t.dev.Range(4*at, 4*max(n, 1)) }
	t.tokens, t.rowSeq = part(t.tokensAt, s.Rows), part(t.rowSeqAt, s.Rows)
	t.spans, t.outs = part(t.spansAt, glsl.SpanWords*s.Seqs), part(t.outsAt, s.Outs)
	return nil
}

func (t *tables) write(b *op.Batch) {
	copy(t.hostWords[t.tokensAt:], b.Tokens)
	copy(t.hostWords[t.rowSeqAt:], b.RowSeq)
	for i, q := range b.Seqs {
		span := (&glsl.Span{Slot: q.Slot, Start: q.Start, Len: q.Len}).Words()
		copy(t.hostWords[t.spansAt+glsl.SpanWords*i:], span[:])
	}
	copy(t.hostWords[t.outsAt:], b.Outs)
}
