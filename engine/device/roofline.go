package device

import (
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu"
	"github.com/rwkv-gpu/rwkv-gpu/engine/roofline"
)

// Roofline is what a device does at best with nothing else to do.
type Roofline struct {
	Read  float64 // bytes per second, streamed from memory
	Flops float64 // float32 operations per second, a multiply-add being two
}

// Roofline measures the device, which takes about a second. The CPU is measured with the threads and the kernels that
// executors have. bytes is how much is streamed: a device may read what fits its caches faster than what does not, so
// it should be what the model at hand reads. Several devices are measured one after the other: see together.roofline.
func (d *Device) Roofline(bytes int) (Roofline, error) {
	if d.split != nil {
		return d.split.roofline(bytes)
	}
	if d.IsCPU() {
		level, err := cpu.Level()
		var read, flops float64
		if err == nil {
			read, flops, err = roofline.CPU(level, bytes, Threads(d.Threads))
		}
		if err != nil {
			return Roofline{}, &Error{Device: "CPU", Err: err}
		}
		return Roofline{read, flops}, nil
	}
	d.use.RLock()
	defer d.use.RUnlock()
	now := d.current()
	if err := now.check(); err != nil {
		return Roofline{}, err
	}
	read, flops, err := roofline.Device(now.device, bytes)
	return Roofline{read, flops}, d.Fault(err)
}

// HasRoom reports whether the device has so many bytes of memory to spare, as far as it says, or each of several devices
// has. It is true on the CPU, and false on a device that could not be opened anew.
func (d *Device) HasRoom(bytes int) bool {
	if slices.ContainsFunc(partsOf(d), func(x *Device) bool { return !x.HasRoom(bytes) }) {
		return false
	}
	d.use.RLock()
	defer d.use.RUnlock()
	now := d.current()
	return now.device == nil || !now.closed && now.kernels.HasRoom(bytes)
}

// Memory returns the bytes of the device's live buffers, and the bytes taken from the driver to hold them; 0 on the
// CPU.
func (d *Device) Memory() (buffers, blocks int) {
	for _, x := range partsOf(d) {
		b, k := x.Memory()
		buffers, blocks = buffers+b, blocks+k
	}
	if d.current().device == nil {
		return buffers, blocks
	}
	return d.current().device.MemoryInUse()
}

// Name names the device. The CPU is "CPU".
func (d *Device) Name() string {
	if d.split != nil {
		return d.split.join((*Device).Name)
	}
	if d.IsCPU() {
		return "CPU"
	}
	return d.current().device.Info().Name
}

// Driver names the device's driver with its version; "" on the CPU.
func (d *Device) Driver() string {
	if d.split != nil {
		return d.split.join((*Device).Driver)
	}
	if d.IsCPU() {
		return ""
	}
	return d.current().device.Info().Driver
}
