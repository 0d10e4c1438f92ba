package engine

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Device is a place where models run: a Vulkan device, or the CPU reference.
type Device struct {
	tuner *tune.Tuner
	draws vulkan.Draws                   // of executors that are made from now on; set by tests
	free  func() (bytes int, known bool) // nil but in tests

	use    sync.RWMutex // held for reading by who uses what is open, for writing while it is closed and opened anew
	mu     sync.Mutex
	now    opened // nothing for the CPU
	number int    // of now, among all that were opened
	users  []*Engine
}

// opened is a Vulkan device as it was opened.
type opened struct {
	instance *gpu.Instance // nil where it is another's, in tests
	device   *gpu.Device
	kernels  *vulkan.Kernels
	closed   bool
}

// current returns what is open now.
func (d *Device) current() opened {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

// Devices lists the Vulkan devices of this machine.
func Devices() ([]gpu.Info, error) {
	in, err := gpu.Open(gpu.Options{})
	if err != nil {
		return nil, &DeviceError{Device: "vulkan", Err: err}
	}
	infos := in.Devices()
	return infos, in.Close()
}

// OpenDevice opens the device that spec names: "auto" (the best Vulkan device, else the CPU after one line to notice),
// "gpu" (the best Vulkan device), "cpu", an index, or a part of a name. notice may be nil.
func OpenDevice(spec string, notice func(string)) (*Device, error) {
	if spec == "cpu" {
		return &Device{}, nil
	}
	d := new(Device)
	err := d.open(spec)
	if err != nil && (spec == "auto" || spec == "") {
		if notice != nil {
			notice(fmt.Sprintf("no Vulkan device can be used (%v): running on the CPU", err))
		}
		return &Device{}, nil
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// open opens the device that spec names.
func (d *Device) open(spec string) error {
	in, err := gpu.Open(gpu.Options{OnHang: func(err error) {
		if OnHang != nil {
			OnHang(d.fault(err))
		}
	}})
	if err != nil {
		return &DeviceError{Device: spec, Err: err}
	}
	index, err := choose(in.Devices(), spec)
	if err != nil {
		return errors.Join(err, in.Close())
	}
	dev, err := in.Device(index, gpu.DeviceOptions{})
	if err != nil {
		_ = in.Close() // the error that counts is err
		return &DeviceError{Device: spec, Err: err}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = opened{instance: in, device: dev, kernels: vulkan.NewKernels(dev)}
	d.number++
	return nil
}

// reopen opens the device anew, unless that was done since the opening of a number. Whoever else uses what was open before has
// to reopen too.
func (d *Device) reopen(number int) error {
	d.use.Lock()
	defer d.use.Unlock()
	d.mu.Lock()
	before, done := d.now, d.number != number
	d.mu.Unlock()
	if d.IsCPU() || done || before.instance == nil {
		return nil
	}
	info := before.device.Info()
	if !before.closed {
		d.mu.Lock()
		users := slices.Clone(d.users)
		d.mu.Unlock()
		for _, e := range users {
			e.leave()
		}
		_ = before.close() // it is lost
		d.mu.Lock()
		d.now.closed = true
		d.mu.Unlock()
	}
	spec := strconv.Itoa(info.Index)
	if list, err := Devices(); err == nil && (info.Index >= len(list) || list[info.Index].Name != info.Name) {
		spec = info.Name // the system counts its devices in another way now
	}
	return d.open(spec)
}

// join notes that an engine works on the device, and part that it no longer does.
func (d *Device) join(e *Engine) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.users = append(d.users, e)
}

func (d *Device) part(e *Engine) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.users = slices.DeleteFunc(d.users, func(user *Engine) bool { return user == e })
}

// opening returns the number of what is open now.
func (d *Device) opening() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.number
}

// checkOpening wants an opening of the device to be the last one.
func (d *Device) checkOpening(number int) error {
	if d.opening() == number {
		return nil
	}
	return &DeviceError{Device: d.current().device.Info().Name, Err: fmt.Errorf("%w: another engine reopened it", ErrDeviceLost)}
}

// choose returns the index of the device that spec names.
func choose(infos []gpu.Info, spec string) (int, error) {
	if spec == "auto" || spec == "" || spec == "gpu" {
		return gpu.Pick(infos), nil
	}
	var names []string
	n, err := strconv.Atoi(spec)
	for _, in := range infos {
		if err == nil && n == in.Index || err != nil && strings.Contains(strings.ToLower(in.Name), strings.ToLower(spec)) {
			return in.Index, nil
		}
		names = append(names, fmt.Sprintf("%d %q", in.Index, in.Name))
	}
	return 0, &DeviceError{Device: strconv.Quote(spec),
		Err: fmt.Errorf("want auto, gpu, cpu or one of %s", strings.Join(names, ", "))}
}

// Tune lets executors that are made from now on measure which kernels are fastest for their matrices, for a few seconds
// in all. What they find is kept among the user's cached files, from where it is taken the next time, unless fresh asks
// for new measurements. notice, which may be nil, is told.
func (d *Device) Tune(fresh bool, notice func(string)) {
	if d.IsCPU() {
		return
	}
	path, err := tune.Path()
	if err != nil && notice != nil {
		notice(fmt.Sprintf("tuning is not kept: %v", err))
	}
	d.tuner = tune.New(path, fresh, notice)
}

// IsCPU reports whether the device is the CPU reference.
func (d *Device) IsCPU() bool { return d.current().device == nil }

// Prober makes an executor for a model's program that can be stopped between steps and looked into, as for comparing devices.
// The device must outlive it; exact is Options.Exact.
func (d *Device) Prober(m *model.Model, s op.Sizes, exact bool, progress func(done, all int64) error) (op.Prober, error) {
	if err := d.checkRoom(m, s); err != nil {
		return nil, err
	}
	prog := m.Program
	if d.IsCPU() {
		e, err := cpu.New(prog, cpu.Options{Sizes: s, Progress: progress})
		if err != nil {
			return nil, err
		}
		return e, nil
	}
	e, err := vulkan.New(d.current().kernels, prog, vulkan.Options{Sizes: s, Exact: exact, Progress: progress, Draws: d.draws, Tuner: d.tuner})
	if err != nil {
		return nil, d.fault(err)
	}
	return e.Prober(), nil
}

// executor makes an executor.
func (d *Device) executor(m *model.Model, s op.Sizes, exact bool, progress func(done, all int64) error) (op.Executor, error) {
	e, err := d.Prober(m, s, exact, progress)
	if p, ok := e.(*vulkan.Prober); ok {
		return p.Exec, err
	}
	return e, err
}

// fit lowers the rows of a batch to what the device can bind and start at once.
func (d *Device) fit(prog *op.Program, s op.Sizes) op.Sizes {
	if d.IsCPU() {
		return s
	}
	return vulkan.Fit(d.current().device.Info().Limits, prog, s)
}

// Close releases the device.
func (d *Device) Close() error {
	if d.IsCPU() {
		return nil
	}
	return d.current().close()
}

func (o opened) close() error {
	if o.device == nil || o.closed {
		return nil
	}
	o.kernels.Release()
	return errors.Join(o.device.Close(), o.instance.Close())
}
