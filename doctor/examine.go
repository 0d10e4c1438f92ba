package doctor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/conform"
	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Options say what is examined.
type Options struct {
	Device  string                         // as device.Open takes it
	Open    func() (*device.Device, error) // opens that device, with its tuner
	Model   *model.Model
	Name    string // of the model, as it was given; "" for the embedded one
	Version string // of the program
	Threads int    // on the CPU
	Machine Machine

	Accuracy device.Accuracy // with which the model is to run

	Tell func(*Event) // is told how the examination goes on; may be nil
}

// examination is an examination under way.
type examination struct {
	*Report
	o Options
}

// Examine examines what the model would run on. An error is a signal's, or says that the examination itself is broken:
// what is wrong with devices is in the report.
func Examine(ctx context.Context, o Options) (*Report, error) {
	e := &examination{o: o, Report: &Report{Version: o.Version, Devices: []gpu.Info{}, Features: []Feature{}, Ops: []conform.Result{},
		Unfit: []Unfit{}, Findings: []Finding{}, Limits: Limits{Device: []Limit{}}, folders: folders(o.Name)}}
	e.Memory.Model = modelName(o.Name)
	e.Kept.Pipelines = o.Machine.pipelineBytes()
	e.step("the examination of the processor", false)
	e.processor()
	if o.Device != "cpu" {
		e.findDevices()
	}
	if d := e.open(); d != nil {
		if err := errors.Join(e.device(ctx, d), ctx.Err()); err != nil {
			return nil, errors.Join(err, d.Close())
		}
		e.step("the closing of "+d.Name(), !d.IsCPU())
		if err := d.Close(); err != nil {
			e.find(Fail, fmt.Sprintf("the device could not be closed: %v", err), "update the driver")
		}
	}
	if o.Device == "cpu" { // to which drivers do not matter, even one that crashes
		e.findDevices()
	}
	e.judge()
	e.tell(Event{Step: "the end", Report: e.Report, Over: true})
	return e.Report, nil
}

// processor describes the processor.
func (e *examination) processor() {
	e.Processor = Processor{System: runtime.GOOS + "/" + runtime.GOARCH, Levels: cpu.Levels(), Threads: device.Threads(e.o.Threads)}
	var err error
	if e.Processor.Level, err = cpu.LevelName(); err != nil {
		e.find(Fail, err.Error(), "unset RWKV_CPU")
	}
}

// drivers is what to do about a driver that is missing.
const drivers = "install the GPU's Vulkan driver: mesa-vulkan-drivers for AMD and Intel on Debian, NVIDIA's own for NVIDIA"

// findDevices describes the loader and lists the devices.
func (e *examination) findDevices() {
	e.Loader.Manifests, e.Loader.Restricted = e.o.Machine.manifests()
	e.step("the search for devices", true)
	name, version, err := gpu.Loader()
	if err != nil {
		if e.o.Device != "cpu" {
			e.find(e.gravityOfNone(), "there is no Vulkan loader on this machine", "install it (libvulkan1 on Debian), and "+drivers)
		}
		return
	}
	e.Loader.Found, e.Loader.Name, e.Loader.Version = true, name, version
	infos, err := device.List()
	if err != nil {
		if e.o.Device != "cpu" {
			e.find(e.gravityOfNone(), fmt.Sprintf("the loader finds no device: %v", err), drivers)
		}
		return
	}
	e.Devices = infos
	if e.o.Device != "cpu" {
		e.findAdapters()
	}
}

// gravityOfNone is the level of having no Vulkan device.
func (e *examination) gravityOfNone() Level {
	if isAuto(e.o.Device) {
		return Warn // the CPU runs
	}
	return Fail
}

func isAuto(spec string) bool { return spec == "" || spec == "auto" }

// findAdapters looks for hardware that no driver answers for.
func (e *examination) findAdapters() {
	for _, maker := range e.o.Machine.adapters() {
		if slices.ContainsFunc(e.Devices, func(in gpu.Info) bool { return in.Vendor == maker && in.Type != gpu.CPU }) {
			continue
		}
		text := fmt.Sprintf("the machine has a display adapter of %s, but no Vulkan driver shows it", maker)
		do := drivers
		if e.Loader.Restricted != "" {
			do = "unset " + e.Loader.Restricted + ", which restricts the drivers"
		}
		e.find(Warn, text, do)
	}
}

// open chooses and opens the device. It returns nil if none can be examined further.
func (e *examination) open() *device.Device {
	if in := e.meant(); in != nil && in.MemoryBytes == 0 { // drivers like that crash later
		e.Chosen, e.Driver = in.Name, in.Driver
		e.Why = e.reason(in)
		e.describe(*in)
		e.find(Fail, fmt.Sprintf("the driver of %s reports no memory: it stands for a device that is not there", in.Name), "--device cpu, or another device")
		return nil
	}
	e.step("the opening of "+e.named(), e.o.Device != "cpu")
	d, err := e.o.Open()
	if level := (*cpu.LevelError)(nil); errors.As(err, &level) { // which processor has found
		e.Why = "the processor has no such kernels"
		return nil
	}
	if err != nil {
		e.Why = "the device could not be opened"
		do := "--device cpu runs on the processor; 'rwkv-gpu devices' lists what can be named"
		if errors.Is(err, device.ErrUnfit) {
			do = "--device cpu, or another driver and then 'rwkv-gpu doctor --retune'"
		}
		e.find(Fail, err.Error(), do)
		return nil
	}
	e.Chosen, e.Driver = d.Name(), d.Driver()
	in, ok := d.Info()
	if !ok {
		e.Why = e.whyCPU()
		e.findRefused(d.WhyCPU())
		return d
	}
	e.Why = e.reason(&in)
	e.describe(in)
	return d
}

// findRefused finds that the CPU runs although there is a GPU, which had an error.
func (e *examination) findRefused(err error) {
	in := e.meant()
	if in == nil || !isAuto(e.o.Device) || err == nil {
		return
	}
	e.Why = in.Name + " cannot be used"
	do := "update the driver; '--device gpu' examines it"
	if errors.Is(err, device.ErrUnfit) {
		do = "another driver; 'rwkv-gpu doctor --retune' judges it anew"
	}
	e.find(Warn, fmt.Sprintf("%s cannot be used, so the CPU runs: %v", in.Name, err), do)
}

// meant returns the Vulkan device that would run, or nil.
func (e *examination) meant() *gpu.Info {
	if e.o.Device == "cpu" || len(e.Devices) == 0 {
		return nil
	}
	index, err := device.Choose(e.Devices, e.o.Device)
	i := slices.IndexFunc(e.Devices, func(in gpu.Info) bool { return in.Index == index })
	if err != nil || i < 0 || isAuto(e.o.Device) && e.Devices[i].Type == gpu.CPU {
		return nil
	}
	return &e.Devices[i]
}

// named names what is about to be opened.
func (e *examination) named() string {
	switch in := e.meant(); {
	case in != nil:
		return in.Name
	case e.o.Device == "cpu":
		return "the processor"
	}
	return "a device"
}

// reason says why a Vulkan device is chosen.
func (e *examination) reason(in *gpu.Info) string {
	switch {
	case e.o.Device != "gpu" && !isAuto(e.o.Device):
		return "--device names it"
	case len(e.Devices) == 1:
		return "it is the only Vulkan device"
	}
	return fmt.Sprintf("it is the best of %d Vulkan devices: discrete ones come first, then integrated, virtual and processors; of one kind the one with more memory", len(e.Devices))
}

// whyCPU says why the CPU is chosen.
func (e *examination) whyCPU() string {
	if e.o.Device == "cpu" {
		return "--device names it"
	}
	if index := gpu.Pick(e.Devices); index >= 0 {
		for _, in := range e.Devices {
			if in.Index == index && in.Type == gpu.CPU {
				return "the best Vulkan device is " + in.Name + ", which is a processor: the CPU is faster by itself"
			}
		}
		return "no Vulkan device can be used"
	}
	return "there is no Vulkan device"
}

// describe describes the chosen Vulkan device.
func (e *examination) describe(in gpu.Info) {
	e.Features = features(in)
	e.Limits.Device = limits(in, largestWeight(e.o.Model.Program))
	e.findLimits()
	if err := e.findTroubles(in); err != nil {
		e.find(Fail, err.Error(), "report it")
	}
	if in.Type == gpu.CPU {
		e.find(Note, in.Name+" is a processor behind Vulkan", "--device cpu is faster")
		if narrowVectors(in, e.Processor.Levels, e.o.Machine.Getenv(vectorWidth)) {
			e.find(Note, in.Name+" uses half of each vector that the processor has", "compare by 'bench' with '"+vectorWidth+"=512' and an empty folder of its "+
				"own in MESA_SHADER_CACHE_DIR: on some processors prompts and many sequences are a fifth faster, on others most is slower")
		}
	}
}

// largestWeight returns the bytes of a program's largest weight, as it is loaded.
func largestWeight(prog *op.Program) (bytes int) {
	for _, w := range prog.Of(op.Weight) {
		n := 1
		for _, d := range w.Shape {
			n *= d
		}
		bytes = max(bytes, w.Source.Type.Bytes(n))
	}
	return bytes
}

// device examines the open device.
func (e *examination) device(ctx context.Context, d *device.Device) error {
	asks := !d.IsCPU()
	e.step("the look at the memory of "+d.Name(), asks)
	e.memory(d)
	e.tuning(d)
	before, _ := d.Unfit()
	start := time.Now()
	r, err := e.conform(ctx, d)
	e.Seconds = time.Since(start).Seconds()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if r != nil {
		e.Ops = append(e.Ops[:0], r.Results...)
	}
	if err != nil {
		e.keep(d, nil)
		e.find(Fail, fmt.Sprintf("the device failed in the conformance run: %v", err), "update the driver, or --device cpu")
		return nil
	}
	e.keep(d, r)
	e.conformed(d, r, before)
	if len(r.Lost) > 0 {
		return nil // what it does at best does not matter
	}
	e.step("the measurement of "+d.Name(), asks)
	_, loaded := e.o.Model.Bytes()
	l, err := d.Roofline(loaded)
	if err != nil {
		e.find(Fail, fmt.Sprintf("the device failed while it was measured: %v", err), "update the driver, or --device cpu")
		return nil
	}
	e.Limits.Read, e.Limits.Flops = l.Read/1e9, l.Flops/1e9
	return nil
}

// conform runs the cases, and tells of each.
func (e *examination) conform(ctx context.Context, d *device.Device) (*conform.Report, error) {
	step, asks := "the conformance run on "+d.Name(), !d.IsCPU()
	e.step(step, asks)
	return d.Conform(ctx, conform.Options{Program: e.o.Model.Program, Exact: e.o.Accuracy.Exact, Half: e.o.Accuracy.Half,
		Progress: func(done, all int) { e.tell(Event{Step: step, Asks: asks, Done: done, All: all, Report: e.Report}) },
		Trying: func(t *conform.Trying) {
			e.Ops = append(e.Ops[:0], t.SoFar...)
			x := Event{Step: step + ": " + t.Case, Asks: true}
			if t.Way != "" {
				x.Step += " in " + t.Way
				x.Way, x.Of = t.Way, &t.Of
			}
			e.tell(x)
		}})
}

// memory compares what the model needs with what is free.
func (e *examination) memory(d *device.Device) {
	room := d.Room(e.o.Model, engine.Sizes(e.o.Model, d, engine.Options{}))
	m := &e.Memory
	m.Needed, m.Weights, m.Free, m.Known, m.Advice = room.Weights+room.Rest, room.Weights, room.Free, room.Known, scrub(room.Advice, e.folders...)
	switch {
	case m.Advice != "":
		e.find(Fail, fmt.Sprintf("%s needs %s, %s free", m.Model, words.Size(uint64(m.Needed)), words.Size(uint64(m.Free))), m.Advice)
	case !m.Known:
		e.find(Note, "the device does not say how much memory is free", "")
	}
}

// tuning counts what is kept of the device.
func (e *examination) tuning(d *device.Device) {
	if d.Tuner == nil {
		return
	}
	on := d.Name() + " | " + d.Driver() + " | "
	for key := range d.Tuner.Known() {
		if strings.HasPrefix(key, on) {
			e.Kept.Forms++
		}
	}
	for _, key := range d.Tuner.Suspects() {
		if strings.HasPrefix(key, on) {
			e.Kept.Suspects++
		}
	}
	if n := e.Kept.Suspects; n > 0 {
		e.find(Warn, fmt.Sprintf("%d forms are not tried any more, since a process ended or the device was lost in their trials", n),
			"--retune tries them again, for example after an update of the driver")
	}
}

// conformed tells what the conformance run found. Before it the device had some unfit ways.
func (e *examination) conformed(d *device.Device, r *conform.Report, before []string) {
	ways, why := d.Unfit()
	for _, w := range ways {
		e.Unfit = append(e.Unfit, Unfit{Way: w, Why: scrub(why[w], e.folders...), New: !slices.Contains(before, w)})
	}
	switch {
	case len(r.Lost) > 0:
		e.find(Fail, fmt.Sprintf("%s gives wrong results for %s in every form", d.Name(), strings.Join(r.Lost, ", ")),
			"--device cpu, or another driver; please report it with this text")
	case !r.OK():
		e.find(Warn, fmt.Sprintf("%d ways to compute gave wrong results, and do not run any more with this driver; others take their place", len(e.Unfit)-len(before)),
			"update the driver; please report it with this text")
	}
	if len(before) > 0 && len(r.Lost) == 0 {
		e.find(Warn, fmt.Sprintf("%d ways to compute gave wrong results in an earlier run, and do not run with this driver", len(before)),
			"update the driver; --retune judges them again")
	}
}

// keep keeps what is unfit for later processes. r is the report of a whole run, or nil.
func (e *examination) keep(d *device.Device, r *conform.Report) {
	ways, _ := d.Unfit()
	if err := d.KeepUnfit(r); err != nil && len(ways) > 0 {
		e.find(Warn, fmt.Sprintf("what gave wrong results cannot be remembered: %v", err), "make the cache folder writable")
	}
}
