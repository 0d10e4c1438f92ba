package device

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/conform"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/unfit"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// A device on which some op has no right form is refused, until it is opened without what is known. Of another device
// with forms that are wrong, executors leave those out.
func TestOpenUnfit(t *testing.T) {
	gputest.Instance(t)
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	path, err := unfit.Path()
	if err != nil {
		t.Fatal(err)
	}
	d, err := Open("gpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	info, ok := d.Info()
	if !ok || info.Name != d.Name() {
		t.Errorf("%+v, %t", info, ok)
	}
	d.current().kernels.Unfit().Add("F16 reg 8x1 (texels)", "off by 2")
	if err := errors.Join(d.KeepUnfit(nil), d.Close()); err != nil {
		t.Fatal(err)
	}
	if d, err = Open("gpu", nil); err != nil {
		t.Fatal(err)
	}
	if ways, why := d.Unfit(); len(ways) != 1 || why[ways[0]] != "off by 2" {
		t.Errorf("kept %q", why)
	}
	d.current().kernels.Unfit().Add(unfit.Whole, unfit.NoneLeft("LayerNorm"))
	if err := errors.Join(d.KeepUnfit(nil), d.Close()); err != nil {
		t.Fatal(err)
	}
	var of *Error
	if _, err := Open("gpu", nil); !errors.Is(err, ErrUnfit) || !errors.As(err, &of) || strings.Contains(err.Error(), path) {
		t.Errorf("want a device that is refused, got %v", err)
	}
	told := ""
	if d, err := Open("auto", func(s string) { told = s }); err != nil || !d.IsCPU() || told == "" {
		t.Errorf("auto: %v, told %q", err, told)
	}
	if d, err = OpenAnew("gpu", nil); err != nil {
		t.Fatal(err)
	}
	if ways, _ := d.Unfit(); len(ways) != 0 {
		t.Errorf("opened anew, it has %q", ways)
	}
	if err := d.KeepUnfit(nil); err != nil { // as after a run that was broken off
		t.Fatal(err)
	}
	if _, err := Open("gpu", nil); !errors.Is(err, ErrUnfit) {
		t.Errorf("a run that was broken off forgot what was known: %v", err)
	}
	r, err := d.Conform(t.Context(), conform.Options{Program: layerNorm(demoModel(t).Program)})
	if err != nil || !r.OK() {
		t.Fatalf("%+v, %v", r, err)
	}
	if err := errors.Join(d.KeepUnfit(r), d.Close()); err != nil {
		t.Fatal(err)
	}
	if d, err = Open("gpu", nil); err != nil || d.Close() != nil {
		t.Errorf("what was judged anew is refused: %v", err)
	}
	if known, err := unfit.Read(path, info.Name, info.Driver); err != nil || !known.Has("F16 reg 8x1 (texels)") {
		t.Errorf("what was not judged anew is forgotten (%v)", err)
	}
}

// layerNorm returns the program without other ops.
func layerNorm(p *op.Program) *op.Program {
	prog := *p
	prog.Steps = slices.DeleteFunc(slices.Clone(p.Steps), func(s op.Step) bool {
		_, ok := s.Op.(*op.LayerNorm)
		return !ok
	})
	return &prog
}

// Room has the figures by which a load is refused, and its advice.
func TestRoomFigures(t *testing.T) {
	m := demoModel(t)
	s := op.Sizes{Slots: 1, Rows: 256, Seqs: 1, Outs: 16}
	for name, d := range map[string]*Device{"cpu": {}, "vulkan": vulkanDevice(t)} {
		free := 1 << 40
		d.free = func() (int, bool) { return free, true }
		r := d.Room(m, s)
		if need := r.Weights + r.Rest; need == 0 || r.Advice != "" || !r.Known || r.Free != free {
			t.Errorf("%s: %+v", name, r)
		}
		free = r.Weights + r.Rest - 1
		r = d.Room(m, s)
		_, err := d.Prober(m, s, Accuracy{}, nil)
		if err == nil || r.Advice == "" || !strings.HasSuffix(err.Error(), r.Advice) || !strings.Contains(err.Error(), mebibytes(r.Weights+r.Rest)) {
			t.Errorf("%s: %+v beside %v", name, r, err)
		}
		d.free = nil
	}
}
