package device

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/split"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// with returns a device with so much free memory; a negative number stands for more than any model needs.
func with(d *Device, bytes int) *Device {
	if bytes < 0 {
		bytes = 1 << 50
	}
	d.Threads, d.free = 1, func() (int, bool) { return bytes, true }
	return d
}

// needs returns the bytes that each device needs for a model of whose layers it has so many.
func needs(t *testing.T, prog *op.Program, list []*Device, counts ...int) (bytes []int) {
	t.Helper()
	parts, err := split.Cut(prog, split.Firsts(counts))
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range parts {
		r := with(list[i], -1).room(p.Program, split.Sizes(splitSizes, i, len(parts)))
		bytes = append(bytes, r.weights+r.rest)
	}
	return bytes
}

var splitSizes = op.Sizes{Slots: 3, Rows: 16, Seqs: 1, Outs: 1}

// refused wants an error of a device without the memory, with some texts, before any weight is read.
func refused(t *testing.T, d *Device, m *model.Model, want ...string) {
	t.Helper()
	read := false
	d.Threads = 1
	_, err := d.Join(func() {}).Executor(m, splitSizes, Accuracy{}, func(int64, int64) error {
		read = true
		return nil
	})
	var of *Error
	if !errors.As(err, &of) || !errors.Is(err, gpu.ErrOutOfMemory) || read {
		t.Fatalf("want devices without the memory, and no weight read (%v), got %v", read, err)
	}
	for _, text := range want {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("want %q in %q", text, err)
		}
	}
}

// loads wants a device that takes a model, and returns how it divides the layers.
func loads(t *testing.T, d *Device, m *model.Model) []int {
	t.Helper()
	var last, size int64
	d.Threads = 1
	e, err := d.Join(func() {}).Executor(m, splitSizes, Accuracy{}, func(done, all int64) error {
		if done <= last || done > all {
			t.Errorf("progress %d of %d after %d", done, all, last)
		}
		last, size = done, all
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if last != size || size == 0 {
		t.Errorf("progress ended at %d of %d bytes", last, size)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	return d.split.counts
}

// A model is divided as its shares say. Where that does not fit, the error has each device that is short, its numbers
// and a division that fits.
func TestSplitByShares(t *testing.T) {
	m := demoModel(t)
	layers := split.Layers(m.Program)
	half, rest := layers/2, layers-layers/2
	if half < 2 {
		t.Fatalf("want a model of at least 4 layers, got %d", layers)
	}
	list := []*Device{vulkanDevice(t), {}}
	need, fewer := needs(t, m.Program, list, half, rest), needs(t, m.Program, list, half-1, rest+1)
	on := func(first, second int) *Device {
		return Split([]*Device{with(list[0], first), with(list[1], second)}, []float64{float64(half), float64(rest)})
	}
	if got := loads(t, on(need[0], need[1]), m); !slices.Equal(got, []int{half, rest}) {
		t.Errorf("want %d and %d layers, got %v", half, rest, got)
	}
	none := "no division of the layers among these devices fits"
	refused(t, on(need[0]-1, -1), m, list[0].Name(), fmt.Sprintf("layers 0 to %d", half-1),
		fmt.Sprintf("and %s are free", mebibytes(need[0]-1)), fmt.Sprintf("what fits: --split %d:%d", half-1, rest+1))
	refused(t, on(-1, need[1]-1), m, "device CPU: ", fmt.Sprintf("want %s for layers %d to %d", mebibytes(need[1]), half, layers-1),
		fmt.Sprintf("what fits: --split %d:%d", half+1, rest-1))
	refused(t, on(1<<10, 1<<10), m, fmt.Sprintf("; device CPU: want %s", mebibytes(need[1])), none)
	refused(t, on(need[0]-1, fewer[1]-1), m, none)
}

// By measured speed, a device that is short of memory has fewer layers, as long as another one has the memory.
func TestSplitBySpeed(t *testing.T) {
	m := demoModel(t)
	layers := split.Layers(m.Program)
	list := []*Device{vulkanDevice(t), {}}
	one, most := needs(t, m.Program, list, 1, layers-1), needs(t, m.Program, list, layers-1, 1)
	counts := loads(t, Split([]*Device{with(list[0], -1), with(list[1], -1)}, nil), m)
	if len(counts) != 2 || counts[0] < 1 || counts[1] < 1 || counts[0]+counts[1] != layers {
		t.Errorf("%d layers: got %v", layers, counts)
	}
	for _, c := range []struct {
		first, second int // bytes
		want          []int
	}{{one[0], -1, []int{1, layers - 1}}, {-1, most[1], []int{layers - 1, 1}}} {
		if got := loads(t, Split([]*Device{with(list[0], c.first), with(list[1], c.second)}, nil), m); !slices.Equal(got, c.want) {
			t.Errorf("%d and %d bytes: want %v layers, got %v", c.first, c.second, c.want, got)
		}
	}
}

// A device that is named twice has its memory once.
func TestSplitMemoryOnce(t *testing.T) {
	m := demoModel(t)
	layers := split.Layers(m.Program)
	half := layers / 2
	need := needs(t, m.Program, []*Device{{}, {}}, half, layers-half)
	on := func(bytes int) *Device {
		return Split([]*Device{with(new(Device), bytes), with(new(Device), bytes)}, []float64{float64(half), float64(layers - half)})
	}
	loads(t, on(need[0]+need[1]), m)
	refused(t, on(need[0]+need[1]-1), m, fmt.Sprintf("layers %d to %d", half, layers-1))
}

// What says something of a device says it of all devices of a split one.
func TestSplitProperties(t *testing.T) {
	v := vulkanDevice(t)
	d := Split([]*Device{v, {}}, []float64{1, 3})
	if want := v.Name() + " + CPU"; d.Name() != want || d.Driver() != v.Driver() {
		t.Errorf("want %q (%q), got %q (%q)", want, v.Driver(), d.Name(), d.Driver())
	}
	if d.IsCPU() || !Split([]*Device{{}, {}}, nil).IsCPU() {
		t.Error("only a device that is always the CPU is the CPU")
	}
	if ways, _ := d.Unfit(); len(ways) > 0 {
		t.Errorf("unfit: %v", ways)
	}
	if _, ok := d.Info(); ok {
		t.Error("several devices have one description")
	}
	for _, x := range []*Device{v, {}} {
		if !strings.Contains(d.Arithmetic(), x.Arithmetic()) {
			t.Errorf("want %q in %q", x.Arithmetic(), d.Arithmetic())
		}
	}
	if _, err := d.Prober(demoModel(t), splitSizes, Accuracy{}, nil); err == nil || !strings.Contains(err.Error(), "want one device") {
		t.Errorf("a prober of several devices: %v", err)
	}
	tiny := golden.Tiny(t)
	for len(d.split.list) <= split.Layers(tiny.Program) {
		d.split.list, d.split.shares = append(d.split.list, new(Device)), append(d.split.shares, 1)
	}
	if _, err := d.Join(func() {}).Executor(tiny, splitSizes, Accuracy{}, nil); err == nil || !strings.Contains(err.Error(), "layers or more") {
		t.Errorf("more devices than layers: %v", err)
	}
}

// OpenSplit opens what it is told to, or nothing.
func TestOpenSplit(t *testing.T) {
	d, err := OpenSplit([]string{"cpu", "cpu"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := loads(t, d, golden.Tiny(t)); len(got) != 2 {
		t.Errorf("got %v", got)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		specs  []string
		shares []float64
		want   string
	}{
		{[]string{"cpu"}, nil, "want two devices or more"}, {[]string{"cpu", "cpu"}, []float64{1}, "a share of each"},
		{[]string{"cpu", "no such device"}, nil, "no such device"},
	} {
		var of *Error
		if _, err := OpenSplit(c.specs, c.shares, nil); !errors.As(err, &of) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: want an error of a device with %q, got %v", c.specs, c.want, err)
		}
	}
}
