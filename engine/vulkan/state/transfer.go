package state

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// The states of slots go to the host and back through buffers in the host's memory. One submission takes as many slots
// as fit. A transfer takes its place among the passes when it starts. To wait for a transfer holds up no pass.
const (
	stageBytes   = 128 << 20 // of states in one submission at most, unless one state is larger
	mostUnderWay = 4         // submissions of transfers that nobody has waited for yet
	mostIdle     = 2         // unused buffers of each kind that are kept
)

// Transfer is a copy of states between slots and the host that has started. Any goroutine may call its methods, also
// beside other calls of the states.
type Transfer struct {
	s *States

	mu     sync.Mutex
	pieces []piecewise // submitted and not waited for, the first first
	err    error
}

// piecewise is one submission of a transfer.
type piecewise struct {
	cmds *gpu.Commands
	s    *stateStage // nil where the host is not part of it
	dst  [][]float32 // of a read
}

// stateStage is a buffer in the host's memory that states go through.
type stateStage struct {
	buf  *gpu.Buffer
	kind gpu.Memory
}

// transfers keeps what transfers use.
type transfers struct {
	dev *gpu.Device

	mu     sync.Mutex
	idle   []*stateStage
	active []*Transfer // that started and are not done, the first first
	closed bool
}

// stage returns a buffer of at least so many bytes.
func (t *transfers) stage(kind gpu.Memory, size int) (*stateStage, error) {
	t.mu.Lock()
	best := -1
	for i, s := range t.idle {
		if s.kind == kind && s.buf.Size() >= size && (best < 0 || s.buf.Size() < t.idle[best].buf.Size()) {
			best = i
		}
	}
	if best >= 0 {
		s := t.idle[best]
		t.idle = slices.Delete(t.idle, best, best+1)
		t.mu.Unlock()
		return s, nil
	}
	t.mu.Unlock()
	b, err := t.dev.NewBuffer("states ("+kind.String()+")", size, kind)
	if err != nil {
		return nil, err
	}
	return &stateStage{b, kind}, nil
}

// put gives a buffer back. The smallest of more than mostIdle goes.
func (t *transfers) put(s *stateStage) {
	if s == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.idle = append(t.idle, s)
	smallest, n := -1, 0
	for i, have := range t.idle {
		if have.kind != s.kind {
			continue
		}
		if n++; smallest < 0 || have.buf.Size() < t.idle[smallest].buf.Size() {
			smallest = i
		}
	}
	if n > mostIdle || t.closed {
		t.idle[smallest].buf.Release()
		t.idle = slices.Delete(t.idle, smallest, smallest+1)
	}
}

// oldest returns the transfer that must end before another starts, nil if few are under way.
func (t *transfers) oldest() *Transfer {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.active) < mostUnderWay {
		return nil
	}
	return t.active[0]
}

func (t *transfers) began(x *Transfer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.Contains(t.active, x) {
		t.active = append(t.active, x)
	}
}

func (t *transfers) done(x *Transfer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.active = slices.DeleteFunc(t.active, func(have *Transfer) bool { return have == x })
}

// release waits for all transfers that are under way and frees all buffers.
func (t *transfers) release() {
	t.mu.Lock()
	t.closed = true
	active := slices.Clone(t.active)
	t.mu.Unlock()
	for _, x := range active {
		_ = x.Wait() // whoever waits for it has the error
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.idle {
		s.buf.Release()
	}
	t.idle = nil
}

// finish waits for a transfer that was started without error.
func finish(t op.Transfer, err error) error {
	if err != nil {
		return err
	}
	return t.Wait()
}

// start records and submits one submission of the transfer. When the submission is done, the states that it read go to
// dst, and s goes back to the transfers.
func (t *Transfer) start(s *stateStage, dst [][]float32, name string, record func(*gpu.Recording) error) error {
	all := t.s
	if old := all.transfers.oldest(); old != nil && old != t {
		_ = old.Wait() // whoever waits for it has the error
	}
	rec := all.dev.NewRecording()
	rec.SetName(name)
	if err := record(rec); err != nil {
		all.transfers.put(s)
		return err
	}
	c, err := rec.End()
	if err == nil {
		if err = c.Submit(); err != nil {
			c.Release()
		}
	}
	if err != nil {
		all.transfers.put(s)
		return err
	}
	t.mu.Lock()
	t.pieces = append(t.pieces, piecewise{c, s, dst})
	t.mu.Unlock()
	all.transfers.began(t)
	return nil
}

// Wait returns when the transfer is done. After it the destination holds the states that were read.
func (t *Transfer) Wait() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.pieces) > 0 {
		t.waitFirst()
	}
	t.s.transfers.done(t)
	return t.err
}

// waitFirst waits for the first submission under way.
func (t *Transfer) waitFirst() {
	p := t.pieces[0]
	t.pieces = t.pieces[1:]
	err := p.cmds.Wait()
	if err == nil && p.dst != nil {
		data := gpu.Float32s(p.s.buf.Bytes())
		for _, dst := range p.dst {
			data = data[copy(dst, data):]
		}
	}
	t.err = errors.Join(t.err, err)
	p.cmds.Release()
	t.s.transfers.put(p.s)
}

// StartRead begins to copy the states of slots to dst. The states are those after all calls before this one. dst holds
// them when Wait returns.
func (all *States) StartRead(slots []int, dst [][]float32) (op.Transfer, error) {
	return all.startStates("reading", gpu.Readback, slots, dst)
}

// StartWrite begins to set the states of slots to src. The caller may use src for something else at once. Calls after
// this one find the states.
func (all *States) StartWrite(slots []int, src [][]float32) (op.Transfer, error) {
	return all.startStates("writing", gpu.Upload, slots, src)
}

// startStates starts a transfer, in as many submissions as its size needs.
func (all *States) startStates(what string, kind gpu.Memory, slots []int, host [][]float32) (op.Transfer, error) {
	if err := all.checkStates(slots, host); err != nil {
		return nil, op.BeforeRun(err)
	}
	t := &Transfer{s: all}
	size := 4 * all.width
	if size == 0 {
		return t, nil
	}
	each := max(stageBytes/size, 1)
	for at := 0; at < len(slots); at += each {
		to := min(at+each, len(slots))
		err := t.startPiece(what, kind, slots[at:to], host[at:to])
		if err != nil && at == 0 {
			return nil, op.BeforeRun(err)
		}
		if err != nil {
			return nil, errors.Join(err, t.Wait())
		}
	}
	return t, nil
}

// startPiece starts one submission. At most two of a transfer are under way.
func (t *Transfer) startPiece(what string, kind gpu.Memory, slots []int, host [][]float32) error {
	t.mu.Lock()
	if len(t.pieces) > 1 {
		t.waitFirst()
	}
	err := t.err
	t.mu.Unlock()
	if err != nil {
		return err
	}
	all := t.s
	size := 4 * all.width
	s, err := all.transfers.stage(kind, len(slots)*size)
	if err != nil {
		return err
	}
	if kind == gpu.Upload {
		data := gpu.Float32s(s.buf.Bytes())
		for _, src := range host {
			data = data[copy(data, src):]
		}
	}
	var dst [][]float32
	if kind == gpu.Readback {
		dst = host
	}
	name := fmt.Sprintf("%s of the states of %d slots, the first %d", what, len(slots), slots[0])
	return t.start(s, dst, name, func(rec *gpu.Recording) error {
		for i, slot := range slots {
			err := all.eachVector(slot, func(part gpu.Range, at int) {
				if at += i * size; kind == gpu.Upload {
					rec.Copy(part, s.buf.Range(at, part.Size))
				} else {
					rec.Copy(s.buf.Range(at, part.Size), part)
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// checkStates returns an error unless there are as many states as slots, each of the right length.
func (all *States) checkStates(slots []int, host [][]float32) error {
	if err := all.open(); err != nil {
		return err
	}
	if len(slots) != len(host) {
		return fmt.Errorf("vulkan: state: want %d states for as many slots, got %d", len(slots), len(host))
	}
	for i, slot := range slots {
		if want, n := all.width, len(host[i]); n != want {
			return fmt.Errorf("vulkan: state: want %d elements, got %d", want, n)
		}
		if slot < 0 || slot >= all.slots {
			return fmt.Errorf("vulkan: state: want a slot below %d, got %d", all.slots, slot)
		}
	}
	return nil
}
