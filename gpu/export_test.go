package gpu

// NewKernel is StartKernel, and waits for the driver.
func (d *Device) NewKernel(desc KernelDesc) (*Kernel, error) {
	k, err := d.StartKernel(desc)
	if err == nil {
		err = k.wait()
	}
	if err != nil {
		k.Release()
		return nil, err
	}
	return k, nil
}

// HoldCompilers keeps kernels of d that are started from now on from being compiled until release is called.
func HoldCompilers(d *Device) (release func()) {
	for range cap(d.compilers) {
		d.compilers <- struct{}{}
	}
	return func() {
		for range cap(d.compilers) {
			<-d.compilers
		}
	}
}

// Fail makes a compiled kernel one that the driver could not compile.
func Fail(k *Kernel, err error) {
	<-k.made
	k.err = err
}

// Hang makes d a device that was found hanging.
func Hang(d *Device) { _ = d.hang(d, d.health.least) }
