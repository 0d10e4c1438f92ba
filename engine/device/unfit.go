package device

import (
	"context"
	"errors"
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine/conform"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/unfit"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// ErrUnfit is what Open's error wraps if Conform found that some op gives wrong results on the device whatever form it
// takes.
var ErrUnfit = errors.New("gave wrong results with this driver")

// avoid gives kernels what is known to be unfit on their device.
func (d *Device) avoid(k *vulkan.Kernels, info gpu.Info) error {
	path, err := unfit.Path()
	if err != nil || d.anew { // without a place to keep things, nothing is kept
		return nil
	}
	known, _ := unfit.Read(path, info.Name, info.Driver) // what is damaged says nothing
	k.Avoid(known)
	if known.Has(unfit.Whole) {
		return &Error{Device: info.Name, Err: fmt.Errorf("%w: 'rwkv-gpu doctor' says more, and judges it anew with --retune", ErrUnfit)}
	}
	return nil
}

// Unfit returns what is known to give wrong results on the device, in words, and why.
func (d *Device) Unfit() (ways []string, why map[string]string) {
	if d.current().device == nil {
		return nil, nil
	}
	return d.current().kernels.Unfit().All()
}

// Conform runs the conformance cases of a program's ops in every form that the device would use. Executors made from now
// on leave out what gives wrong results. The device's tuner, if any, knows the way to load.
func (d *Device) Conform(ctx context.Context, o conform.Options) (*conform.Report, error) {
	o.Threads, o.Tuner = d.Threads, d.Tuner
	if d.IsCPU() {
		return conform.CPU(ctx, o)
	}
	d.use.RLock()
	defer d.use.RUnlock()
	now := d.current()
	if err := now.check(); err != nil {
		return nil, err
	}
	r, err := conform.Vulkan(ctx, now.kernels, o)
	return r, d.Fault(err)
}

// KeepUnfit keeps what is unfit on the device for later processes, beside what they know. r is the report of a run of
// Conform that went to its end: what it judged and found right is forgotten. It may be nil.
func (d *Device) KeepUnfit(r *conform.Report) error {
	if d.current().device == nil {
		return nil
	}
	path, err := unfit.Path()
	if err != nil {
		return err
	}
	now := d.current()
	info := now.device.Info()
	var judged func(way, why string) bool
	if r != nil {
		judged = r.Judged
	}
	return now.kernels.Unfit().Write(path, info.Name, info.Driver, judged)
}

// LeaveOut keeps a way as unfit on a device with its driver, for later processes: the one that tried it has ended in it.
func LeaveOut(device, driver, way, why string) error {
	path, err := unfit.Path()
	if err != nil {
		return err
	}
	known := &unfit.Known{}
	known.Add(way, why)
	return known.Write(path, device, driver, nil)
}

// Info describes the device. ok is false for the CPU and for several devices, which have no description.
func (d *Device) Info() (info gpu.Info, ok bool) {
	if d.current().device == nil {
		return gpu.Info{}, false
	}
	return d.current().device.Info(), true
}
