package device

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

// Device is a place where models run: a Vulkan device, or the CPU, which is the zero value. Any goroutine may
// call its methods. Its fields are set before executors are made.
type Device struct {
	Tuner *tune.Tuner  // measures which kernels are fastest, as Tune says; nil: the usual ones run
	Draws vulkan.Draws // where the executors of a Vulkan device draw tokens

	Threads int // of an executor on the CPU; 0: the physical cores that this process may use

	split *together // the devices that this one consists of; nil of a single one

	window gpu.Window // where a Vulkan device shows pictures; nil: nowhere

	free func() (bytes int, known bool) // nil but in tests

	use    sync.RWMutex // read-locked by users of the open device, locked while it is closed and opened anew
	mu     sync.Mutex
	now    opened // nothing for the CPU
	number int    // of the present opening
	anew   bool   // reports whether what earlier processes found to be unfit does not count
	users  []*User

	whyCPU error // of the Vulkan device that "auto" could not use; nil if there is none
}

// WhyCPU returns the error for which "auto" is the CPU, or nil.
func (d *Device) WhyCPU() error { return d.whyCPU }

// opened is a Vulkan device that was opened.
type opened struct {
	instance *gpu.Instance // nil if somebody else opened the device
	device   *gpu.Device
	kernels  *vulkan.Kernels
	closed   bool // reports whether the device was lost and could not be opened anew
}

// works reports whether the device works, or whether nobody here may open it anew.
func (o opened) works() bool { return o.instance == nil || !o.closed && o.device.Err() == nil }

// check returns an error unless the device is open.
func (o opened) check() error {
	if !o.closed {
		return nil
	}
	return &Error{Device: o.device.Info().Name, Err: fmt.Errorf("%w: it could not be opened anew", gpu.ErrDeviceLost)}
}

// current returns the present opening.
func (d *Device) current() opened {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.now
}

// List lists the Vulkan devices of this machine.
func List() ([]gpu.Info, error) {
	in, err := gpu.Open(gpu.Options{})
	if err != nil {
		return nil, &Error{Device: "vulkan", Err: err}
	}
	infos := in.Devices()
	return infos, in.Close()
}

// Open opens the device that spec names: "auto" (the best GPU, else the CPU, which notice is told), "gpu" (the best
// Vulkan device), "cpu", an index, or a part of a name. notice may be nil. A Vulkan device that is a processor is the
// slower way to use it. The error of the CPU is a *cpu.LevelError.
func Open(spec string, notice func(string)) (*Device, error) { return open(spec, notice, false) }

// OpenAnew is Open without what earlier processes found to be unfit on the device.
func OpenAnew(spec string, notice func(string)) (*Device, error) { return open(spec, notice, true) }

func open(spec string, notice func(string), anew bool) (*Device, error) {
	if spec == "cpu" {
		return onCPU(nil)
	}
	d := &Device{anew: anew}
	err := d.open(spec)
	if err != nil && isAuto(spec) {
		c, fault := onCPU(err)
		if fault == nil && notice != nil {
			notice(whyCPU(err))
		}
		return c, fault
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// onCPU returns the CPU, which runs for a reason. Its error is that of a level that the user asks for.
func onCPU(why error) (*Device, error) {
	if _, err := cpu.Level(); err != nil {
		return nil, err
	}
	return &Device{whyCPU: why}, nil
}

// OpenWindow opens the Vulkan device that spec names, as one that shows pictures in a window. "auto" is the best of those
// that can. The window must outlive the device.
func OpenWindow(spec string, w gpu.Window) (*Device, error) {
	if isAuto(spec) {
		spec = "gpu"
	}
	d := &Device{window: w}
	if err := d.open(spec); err != nil {
		return nil, err
	}
	return d, nil
}

func isAuto(spec string) bool { return spec == "auto" || spec == "" }

// noGPU is the error of "auto" where the best Vulkan device is a processor.
type noGPU struct{ best string }

func (e *noGPU) Error() string {
	return "the best Vulkan device is " + e.best + ", which is a processor"
}

// whyCPU says why "auto" is the CPU.
func whyCPU(err error) string {
	var no *noGPU
	if errors.As(err, &no) {
		return fmt.Sprintf("no GPU: running on the CPU; %s would be slower (--device gpu)", no.best)
	}
	return fmt.Sprintf("no Vulkan device can be used (%v): running on the CPU", err)
}

// On returns a device that is open already, with the kernels made for it. Close leaves both to their owner. So a lost
// one cannot be opened anew.
func On(d *gpu.Device, kernels *vulkan.Kernels) *Device {
	return &Device{now: opened{device: d, kernels: kernels}}
}

// open opens the device that spec names.
func (d *Device) open(spec string) error {
	in, err := gpu.Open(gpu.Options{Window: d.window, OnHang: func(err error) {
		if OnHang != nil {
			OnHang(d.Fault(err))
		}
	}})
	if err != nil {
		return &Error{Device: spec, Err: err}
	}
	index, err := Choose(in.Devices(), spec)
	if i := slices.IndexFunc(in.Devices(), func(info gpu.Info) bool { return info.Index == index }); err == nil && isAuto(spec) &&
		i >= 0 && in.Devices()[i].Type == gpu.CPU {
		err = &noGPU{in.Devices()[i].Name}
	}
	if err != nil {
		return errors.Join(err, in.Close())
	}
	dev, err := in.Device(index, gpu.DeviceOptions{})
	if err != nil {
		_ = in.Close() // the error that counts is err
		return &Error{Device: spec, Err: err}
	}
	kernels := vulkan.NewKernels(dev)
	if err := d.avoid(kernels, dev.Info()); err != nil {
		return errors.Join(err, dev.Close(), in.Close())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = opened{instance: in, device: dev, kernels: kernels}
	d.number++
	return nil
}

// Choose returns the index of the Vulkan device that spec, which is not "cpu", names. Of several it is one that shows
// pictures in the window, if there is a window.
func Choose(infos []gpu.Info, spec string) (int, error) {
	if spec == "auto" || spec == "" || spec == "gpu" {
		return gpu.Pick(infos), nil
	}
	var names []string
	n, err := strconv.Atoi(spec)
	found := -1
	for _, in := range infos {
		if err == nil && n == in.Index || err != nil && strings.Contains(strings.ToLower(in.Name), strings.ToLower(spec)) {
			if in.NoPictures == "" {
				return in.Index, nil
			}
			if found < 0 {
				found = in.Index
			}
		}
		names = append(names, fmt.Sprintf("%d %q", in.Index, in.Name))
	}
	if found >= 0 { // which says why it cannot be opened
		return found, nil
	}
	return 0, &Error{Device: strconv.Quote(spec),
		Err: fmt.Errorf("want auto, gpu, cpu or one of %s", strings.Join(names, ", "))}
}

// Tune lets executors made from now on measure which kernels are the fastest for their matrices, for a few seconds in
// all. What they find is kept among the user's cached files and used the next time, unless fresh is set. notice, which
// may be nil, is told of it.
func (d *Device) Tune(fresh bool, notice func(string)) {
	if d.IsCPU() {
		return
	}
	path, err := tune.Path()
	if err != nil && notice != nil {
		notice(fmt.Sprintf("tuning is not kept: %v", err))
	}
	d.Tuner = tune.New(path, fresh, notice)
}

// IsCPU reports whether the device is the CPU, or several times the CPU.
func (d *Device) IsCPU() bool {
	return d.current().device == nil && !slices.ContainsFunc(partsOf(d), func(x *Device) bool { return !x.IsCPU() })
}

// Fit lowers the rows of a batch to what the device can bind and start at once.
func (d *Device) Fit(prog *op.Program, s op.Sizes) op.Sizes {
	for _, x := range partsOf(d) {
		s = x.Fit(prog, s)
	}
	if d.current().device == nil {
		return s
	}
	return vulkan.Fit(d.current().device.Info().Limits, prog, s)
}

// Accuracy says what of the numbers matters. The zero value stands for float32's accuracy.
type Accuracy struct {
	Exact bool // a token's numbers are the same, bit for bit, whatever else is in its pass
	Half  bool // products of many tokens may round what they multiply to float16, once; not with Exact
}

// Prober makes an executor for a model's program that can stop between steps, for example to compare devices. The
// device must outlive it. progress, which may be nil, is told how many bytes of weights are loaded. Its error ends the
// load and is returned.
func (d *Device) Prober(m *model.Model, s op.Sizes, a Accuracy, progress func(done, all int64) error) (op.Prober, error) {
	d.use.RLock()
	defer d.use.RUnlock()
	return d.prober(m, s, a, progress)
}

// prober is Prober for a caller during whose call the device stays open.
func (d *Device) prober(m *model.Model, s op.Sizes, a Accuracy, progress func(done, all int64) error) (op.Prober, error) {
	if d.split != nil {
		return nil, &Error{Device: d.Name(), Err: errors.New("want one device to stop between steps on, got several")}
	}
	if err := d.current().check(); err != nil {
		return nil, err
	}
	r, err := d.checkRoom(m, s)
	if err != nil {
		return nil, err
	}
	return makeOn(d, m.Program, s, a, r.spare(m), progress)
}

// makeOn makes an executor for a program that a device has memory for. spare is the bytes that an executor on the CPU
// may take beside that. The device stays open during the call.
func makeOn(d *Device, prog *op.Program, s op.Sizes, a Accuracy, spare int,
	progress func(done, all int64) error) (op.Prober, error) {
	if d.current().device == nil {
		e, err := cpu.New(prog, cpu.Options{Sizes: s, Threads: d.Threads, Spare: spare, Progress: progress})
		if err != nil {
			return nil, err
		}
		return e, nil
	}
	e, err := vulkan.New(d.current().kernels, prog, vulkan.Options{Sizes: s, Exact: a.Exact, Half: a.Half, Progress: progress, Draws: d.Draws, Tuner: d.Tuner})
	if err != nil {
		return nil, d.Fault(err)
	}
	return e.Prober(), nil
}

// Close releases the device, and saves what its tuner still has to save.
func (d *Device) Close() error {
	d.Tuner.Flush()
	err := d.current().close()
	for _, x := range partsOf(d) {
		err = errors.Join(err, x.Close())
	}
	return err
}

func (o opened) close() error {
	if o.device == nil || o.closed || o.instance == nil {
		return nil
	}
	o.kernels.Release()
	return errors.Join(o.device.Close(), o.instance.Close())
}
