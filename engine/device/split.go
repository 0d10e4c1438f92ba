package device

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/split"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// together are the devices of a Device that consists of several. Nobody else has them.
type together struct {
	list   []*Device
	shares []float64 // of the layers; nil: by measured speed

	mu     sync.Mutex
	speeds []float64 // layers a second, of the model that was measured
	of     *op.Program
	counts []int // layers of the last executor
}

// OpenSplit opens the devices that specs name (see Open) as one, which divides a model's layers among them. shares says
// in which proportion, for each device; nil is the proportion of their speeds, which are measured on one layer. The same
// device may be named several times.
func OpenSplit(specs []string, shares []float64, notice func(string)) (*Device, error) {
	if len(specs) < 2 || shares != nil && len(shares) != len(specs) {
		return nil, &Error{Device: strings.Join(specs, ","),
			Err: fmt.Errorf("want two devices or more, and a share of each, got %d devices and %d shares", len(specs), len(shares))}
	}
	t := &together{shares: shares}
	d := &Device{split: t}
	for _, spec := range specs {
		x, err := Open(spec, notice)
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		t.list = append(t.list, x)
	}
	return d, nil
}

// Split returns a device that consists of several, which it owns. See OpenSplit for shares.
func Split(list []*Device, shares []float64) *Device {
	return &Device{split: &together{list: list, shares: shares}}
}

// partsOf returns the devices that a device consists of; none if it is a single one.
func partsOf(d *Device) []*Device {
	if d.split == nil {
		return nil
	}
	return d.split.list
}

// join names something of all devices.
func (t *together) join(of func(*Device) string) string {
	var names []string
	for _, d := range t.list {
		if name := of(d); name != "" {
			names = append(names, name)
		}
	}
	return strings.Join(names, " + ")
}

// arithmetic is Arithmetic of all devices, with the layers of each.
func (t *together) arithmetic() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprintf("%s | layers %v", t.join((*Device).Arithmetic), t.counts)
}

// roofline is what all devices do at best. A token goes from one to the next, so its bytes are read at a mean speed.
// Prompts are divided, so all devices multiply at once, until the one with the most work for its speed is done.
func (t *together) roofline(bytes int) (Roofline, error) {
	var sum, read, flops float64
	list := make([]Roofline, len(t.list))
	for i, d := range t.list {
		var err error
		if list[i], err = d.Roofline(bytes); err != nil {
			return Roofline{}, err
		}
		read, flops = read+list[i].Read/float64(len(t.list)), flops+list[i].Flops
	}
	if t.shares == nil { // each has as much as it reads in the same time
		return Roofline{read, flops}, nil
	}
	for _, s := range t.shares {
		sum += s
	}
	read = 0
	for i, s := range t.shares {
		read, flops = read+s/sum/list[i].Read, min(flops, list[i].Flops*sum/s)
	}
	return Roofline{1 / read, flops}, nil
}

// several makes an executor on all devices.
func (u *User) several(m *model.Model, s op.Sizes, a Accuracy, progress func(done, all int64) error) (op.Executor, error) {
	t := u.d.split
	for _, x := range t.list {
		x.use.RLock()
	}
	defer func() {
		for _, x := range t.list {
			x.use.RUnlock()
		}
	}()
	for i, part := range u.parts {
		x := t.list[i]
		x.mu.Lock()
		part.number = x.number
		x.mu.Unlock()
		if err := x.current().check(); err != nil {
			return nil, err
		}
		if x.Threads = u.d.Threads; !x.IsCPU() {
			x.Tuner = u.d.Tuner
		}
	}
	parts, err := t.divide(m.Program, s, a)
	if err != nil {
		return nil, err
	}
	var done, all int64
	for _, p := range parts {
		all += bytesOf(p.Program)
	}
	var stages []split.Stage
	for i, p := range parts {
		x, err := makeOn(t.list[i], p.Program, split.Sizes(s, i, len(parts)), a, 0, func(now, _ int64) error {
			if progress == nil {
				return nil
			}
			return progress(done+now, all)
		})
		if err != nil {
			return nil, errors.Join(err, split.New(m.Program, s, stages, 0).Close())
		}
		done += bytesOf(p.Program)
		stages = append(stages, split.Stage{Part: p, Exec: x, Fault: t.list[i].Fault})
	}
	return split.New(m.Program, s, stages, 0), nil
}

// bytesOf returns the bytes of a program's weights as they are stored.
func bytesOf(prog *op.Program) (n int64) {
	for _, w := range prog.Of(op.Weight) {
		n += int64(w.Source.Type.Bytes(w.Width))
	}
	return n
}

// divide cuts a program into parts that the devices have memory for. By measured speed, a device that is short of memory
// gets fewer layers. Given shares are kept, and it is an error if they do not fit; the error says which would.
func (t *together) divide(prog *op.Program, s op.Sizes, a Accuracy) ([]*split.Part, error) {
	layers, n := split.Layers(prog), len(t.list)
	if layers < n {
		return nil, &Error{Device: t.join((*Device).Name), Err: fmt.Errorf("want a model of %d layers or more for as many devices, got %d", n, layers)}
	}
	weights, extra := t.shares, make([]float64, n)
	if weights == nil {
		var err error
		if weights, err = t.measured(prog, a); err != nil {
			return nil, err
		}
		extra[n-1] = split.Behind(prog)
	}
	most := make([]int, n)
	for i := range most {
		most[i] = layers
	}
	var short error // of the division that was asked for
	for {
		counts, ok := split.Share(layers, weights, extra, most)
		if !ok {
			return nil, fmt.Errorf("%w; no division of the layers among these devices fits", short)
		}
		parts, err := split.Cut(prog, split.Firsts(counts))
		if err != nil {
			return nil, err
		}
		failed := t.fit(parts, s, most)
		switch {
		case failed == nil && short != nil && t.shares != nil:
			return nil, fmt.Errorf("%w; what fits: --split %s", short, proportion(counts))
		case failed == nil:
			t.mu.Lock()
			t.counts = counts
			t.mu.Unlock()
			return parts, nil
		case short == nil:
			short = failed
		}
	}
}

// fit returns an error if a device has no memory for its part. Then it lowers the most layers that the device can have.
func (t *together) fit(parts []*split.Part, s op.Sizes, most []int) error {
	var short []string
	var first string
	taken := map[string]int{} // bytes, by device: one may be there several times
	for i, p := range parts {
		d := t.list[i]
		key := cpuName
		if info, ok := d.Info(); ok {
			key = fmt.Sprint(info.Index, info.Name)
		}
		r := d.room(p.Program, split.Sizes(s, i, len(parts)))
		r.free = max(r.free-taken[key], 0)
		need := r.weights + r.rest
		if taken[key] += need; !r.short() {
			continue
		}
		most[i] = p.To - p.From - 1
		text := fmt.Sprintf("want %s for layers %d to %d, of which weights %s, and %s are free",
			mebibytes(need), p.From, p.To-1, mebibytes(r.weights), mebibytes(r.free))
		if first == "" {
			first = r.device
		} else {
			text = "device " + r.device + ": " + text
		}
		short = append(short, text)
	}
	if short == nil {
		return nil
	}
	return &Error{Device: first, Err: fmt.Errorf("%w: %s", gpu.ErrOutOfMemory, strings.Join(short, "; "))}
}

// proportion writes numbers as --split takes them.
func proportion(counts []int) string {
	var words []string
	for _, n := range counts {
		words = append(words, strconv.Itoa(n))
	}
	return strings.Join(words, ":")
}

// timed is about how long each device is timed.
const timed = 60 * time.Millisecond

// measured returns the layers that each device runs in a second. They are measured once for a program.
func (t *together) measured(prog *op.Program, a Accuracy) ([]float64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == prog {
		return t.speeds, nil
	}
	layers := split.Layers(prog)
	cuts := []int{layers / 2} // the part of one layer in the middle, or of the last
	if layers > 2 {
		cuts = append(cuts, layers/2+1)
	}
	parts, err := split.Cut(prog, cuts)
	if err != nil {
		return nil, err
	}
	speeds := make([]float64, len(t.list))
	for i, d := range t.list {
		took, err := timeOf(d, parts[1], a)
		if err != nil {
			return nil, err
		}
		speeds[i] = 1 / max(took.Seconds(), 1e-9)
	}
	t.speeds, t.of = speeds, prog
	return slices.Clone(speeds), nil
}

// timeOf returns how long a device takes for a token in a part.
func timeOf(d *Device, p *split.Part, a Accuracy) (took time.Duration, err error) {
	s := op.Sizes{Slots: 1, Rows: 1, Seqs: 1, Outs: 1}
	if err := d.room(p.Program, s).check("to time a layer: ", nil); err != nil {
		return 0, err
	}
	x, err := makeOn(d, p.Program, s, a, 0, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, d.Fault(x.Close())) }()
	took, err = split.Time(p, x, timed)
	return took, d.Fault(err)
}
