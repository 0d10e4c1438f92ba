package engine

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Device is a place where models run: a Vulkan device, or the CPU reference.
type Device struct {
	instance *gpu.Instance // nil for the CPU
	device   *gpu.Device
	kernels  *vulkan.Kernels
	tuner    *vulkan.Tuner
	draws    vulkan.Draws                   // of executors that are made from now on; set by tests
	free     func() (bytes int, known bool) // nil but in tests
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
// "gpu" (the best Vulkan device), "cpu", an index, or a part of a name.
func OpenDevice(spec string, notice func(string)) (*Device, error) {
	if spec == "cpu" {
		return &Device{}, nil
	}
	d, err := openVulkan(spec)
	if err != nil && (spec == "auto" || spec == "") {
		notice(fmt.Sprintf("no Vulkan device can be used (%v): running on the CPU", err))
		return &Device{}, nil
	}
	return d, err
}

func openVulkan(spec string) (*Device, error) {
	d := &Device{}
	in, err := gpu.Open(gpu.Options{OnHang: func(err error) {
		if OnHang != nil {
			OnHang(d.fault(err))
		}
	}})
	if err != nil {
		return nil, &DeviceError{Device: spec, Err: err}
	}
	index, err := choose(in.Devices(), spec)
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	dev, err := in.Device(index, gpu.DeviceOptions{})
	if err != nil {
		_ = in.Close() // the error that counts is err
		return nil, &DeviceError{Device: spec, Err: err}
	}
	d.instance, d.device, d.kernels = in, dev, vulkan.NewKernels(dev)
	return d, nil
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
	path, err := vulkan.TuningPath()
	if err != nil && notice != nil {
		notice(fmt.Sprintf("tuning is not kept: %v", err))
	}
	d.tuner = vulkan.NewTuner(path, fresh, notice)
}

// IsCPU tells whether the device is the CPU reference.
func (d *Device) IsCPU() bool { return d.device == nil }

// Executor makes an executor for a model's program on the device, which must outlive it.
func (d *Device) Executor(m *model.Model, s op.Sizes, progress func(done, all int64) error) (op.Prober, error) {
	if err := d.checkRoom(m, s); err != nil {
		return nil, err
	}
	prog := m.Program
	if d.IsCPU() {
		return cpu.New(prog, cpu.Options{Sizes: s, Progress: progress})
	}
	e, err := vulkan.New(d.kernels, prog, vulkan.Options{Sizes: s, Progress: progress, Draws: d.draws, Tuner: d.tuner})
	if err != nil {
		return nil, d.fault(err)
	}
	return e, nil
}

// fit lowers the rows of a batch to what the device can bind and start at once.
func (d *Device) fit(prog *op.Program, s op.Sizes) op.Sizes {
	if d.IsCPU() {
		return s
	}
	return vulkan.Fit(d.device.Info().Limits, prog, s)
}

// Close releases the device.
func (d *Device) Close() error {
	if d.IsCPU() {
		return nil
	}
	d.kernels.Release()
	return errors.Join(d.device.Close(), d.instance.Close())
}
