package gpu

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"
)

// DeviceOptions configure Instance.Device. The zero value is right for use; the rest is for tests.
type DeviceOptions struct {
	NoPipelineCache  bool             // keep no pipelines on disk
	PipelineCacheDir string           // instead of rwkv-gpu in the user's cache directory
	LimitOverride    func(*Limits)    // lowers limits that calls are checked against
	FeatureOverride  func(*Features)  // switches features off
	OmitBarrier      func(n int) bool // leaves out a recording's n-th derived barrier from 1 on; 0 is the one at its start
	Poison           int              // bytes behind every buffer, all bits set, that bindings see too
	NoDirectAccess   bool             // copy by staging even where the host sees the device's memory
	WaitLimit        time.Duration    // least limit of a wait, from 0.1 s on; 0: RWKV_WAIT_LIMIT, or 30 s

	// Rewrite, if set, may change a module before the driver sees it. local is the size of the module's workgroups.
	Rewrite func(code []byte, local [3]int) []byte

	// Statistics, if set, is told what the driver's compiler says of each kernel when the kernel is made. Several
	// goroutines may call it at once. Opening fails with ErrNoStatistics if the driver says nothing.
	Statistics func(Statistics)
}

// A Device runs kernels. Its methods may be called concurrently; a Recording or Commands is
// for one goroutine at a time.
type Device struct {
	in     *Instance
	phys   *physical
	info   Info
	opts   DeviceOptions
	c      *C.rg_dev
	vk     vk.Device
	memory memoryTypes
	shared bool // device and host share their memory
	cache  pipelineCache
	health health

	queueMu sync.Mutex  // submissions
	gone    atomic.Bool // the Vulkan device is destroyed

	mu      sync.Mutex
	closed  bool
	blocks  []*block
	buffers map[*Buffer]struct{}
	kernels map[*Kernel]struct{}

	compilers chan struct{} // holds one for each kernel that is being compiled now

	commands map[*recorded]struct{}
	layouts  map[string]layout // by binding kinds and push bytes

	staging staging
	chain   *Swapchain // nil: none
}

// Device opens the device with that Info.Index.
func (in *Instance) Device(index int, opts DeviceOptions) (*Device, error) {
	if index < 0 || index >= len(in.devices) {
		return nil, fmt.Errorf("%w with index %d, there are %d", ErrNoDevice, index, len(in.devices))
	}
	p := &in.devices[index]
	if p.info.NoPictures != "" {
		return nil, Unsupportedf("vulkan: device %q shows no pictures in the window: %s", p.info.Name, p.info.NoPictures)
	}
	if in.as == Discrete { // whose memory the host seldom sees
		opts.NoDirectAccess = true
	}
	d := &Device{
		in: in, phys: p, info: in.Devices()[index], opts: opts, memory: p.memory,
		shared:  p.info.Type == Integrated || p.info.Type == CPU,
		buffers: map[*Buffer]struct{}{}, kernels: map[*Kernel]struct{}{}, compilers: make(chan struct{}, runtime.GOMAXPROCS(0)), commands: map[*recorded]struct{}{}, layouts: map[string]layout{},
	}
	if opts.LimitOverride != nil {
		opts.LimitOverride(&d.info.Limits)
	}
	if opts.FeatureOverride != nil {
		opts.FeatureOverride(&d.info.Features)
	}
	var err error
	d.health.stopped = make(chan struct{})
	if d.health.least, err = leastWaitOf(opts); err != nil {
		return nil, err
	}
	caps := p.caps
	d.info.Features.apply(&caps)
	if opts.Statistics == nil {
		caps.ext_statistics = 0
	} else if caps.ext_statistics == 0 {
		return nil, fmt.Errorf("vulkan: device %q: %w", p.info.Name, ErrNoStatistics)
	}
	if in.surface == 0 {
		caps.swapchain = 0
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return nil, errors.New("vulkan: instance is closed")
	}
	var c *C.rg_dev
	if r := C.rg_dev_create(in.gipa, in.inst, p.handle, C.uint32_t(p.family), &caps, &c); r != 0 {
		return nil, fmt.Errorf("vulkan: device %q: %w", p.info.Name, check("vkCreateDevice", int32(r)))
	}
	d.c = c
	d.vk = vk.Device(C.rg_dev_handle(c))
	d.openCache()
	in.open++
	return d, nil
}

// Info describes the device, with overrides applied.
func (d *Device) Info() Info { return d.info }

// Close waits for the device, saves the pipeline cache and releases everything. The error names buffers, kernels and
// commands that were not released before. A device that hangs keeps what it has, and its instance too.
func (d *Device) Close() error {
	d.staging.mu.Lock()
	d.staging.release()
	d.staging.mu.Unlock()
	d.mu.Lock()
	kernels := slices.Collect(maps.Keys(d.kernels))
	d.mu.Unlock()
	for _, k := range kernels {
		_ = k.wait()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	d.queueMu.Lock() // so that no Submit comes between, and none runs beside the wait
	d.gone.Store(true)
	err := d.awaitAll()
	d.queueMu.Unlock()
	err = errors.Join(err, d.leaks())
	d.unwatch()
	if d.hung() { // releasing may wait too
		d.abandon()
		return d.failure()
	}
	if d.chain != nil {
		d.chain.destroy()
	}
	for r := range d.commands {
		r.destroy()
	}
	d.staging.destroy()
	for k := range d.kernels {
		k.destroy()
	}
	for b := range d.buffers {
		b.destroy()
	}
	for len(d.blocks) > 0 {
		d.freeBlock(d.blocks[0])
	}
	for _, l := range d.layouts {
		C.rg_layouts_destroy(d.c, C.uint64_t(l.set), C.uint64_t(l.pipeline))
	}
	d.closeCache()
	C.rg_dev_destroy(d.c)
	d.in.mu.Lock()
	d.in.open--
	d.in.mu.Unlock()
	return err
}

// abandon leaves a device that hangs as it is, and its instance with it.
func (d *Device) abandon() {
	d.in.mu.Lock()
	defer d.in.mu.Unlock()
	d.in.open--
	d.in.abandoned = true
}

func (d *Device) describe() string { return "the end of all work" }

func (d *Device) leaks() error {
	var names []string
	for b := range d.buffers {
		if !b.released {
			names = append(names, fmt.Sprintf("buffer %q (%s)", b.name, sizeString(uint64(b.size))))
		}
	}
	for k := range d.kernels {
		if !k.released {
			names = append(names, fmt.Sprintf("kernel %q", k.name))
		}
	}
	for r := range d.commands {
		if !r.released {
			names = append(names, "commands of "+r.describe())
		}
	}
	if len(names) == 0 {
		return nil
	}
	sort.Strings(names)
	return fmt.Errorf("vulkan: device closed with unreleased %s", strings.Join(names, ", "))
}

// layout is the layout of all kernels with the same kinds of bindings and number of push bytes. A descriptor set of one
// of these kernels fits all of them.
type layout struct {
	set, pipeline uint64
	id            int
}

// layoutFor returns the layout of these descriptor types.
func (d *Device) layoutFor(types []C.uint32_t, push int) (layout, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return layout{}, ErrClosed
	}
	if err := d.failure(); err != nil {
		return layout{}, err
	}
	key := fmt.Sprint(types, push)
	if l, ok := d.layouts[key]; ok {
		return l, nil
	}
	var set, pipeline C.uint64_t
	var first *C.uint32_t
	if len(types) > 0 {
		first = unsafe.SliceData(types)
	}
	if r := C.rg_set_layout(d.c, C.uint32_t(len(types)), first, &set); r != 0 {
		return layout{}, check("vkCreateDescriptorSetLayout", int32(r))
	}
	if r := C.rg_pipeline_layout(d.c, set, C.uint32_t(push), &pipeline); r != 0 {
		C.rg_layouts_destroy(d.c, set, 0)
		return layout{}, check("vkCreatePipelineLayout", int32(r))
	}
	l := layout{uint64(set), uint64(pipeline), len(d.layouts)}
	d.layouts[key] = l
	return l, nil
}
