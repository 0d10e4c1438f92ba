package roofline

import (
	"math"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// Device measures a Vulkan device. read is the bytes read per second from buffers of so many bytes, by the fastest of a
// few workgroup sizes of one shader. flops is the float32 operations per second of independent multiply-adds, each of
// which counts as two.
func Device(dev *gpu.Device, bytes int) (read, flops float64, err error) {
	m := meter{dev, profile.Of(dev.Info())}
	if read, err = m.readLimit(bytes); err != nil {
		return 0, 0, err
	}
	flops, err = m.fmaLimit()
	return read, flops, err
}

// meter measures a device.
type meter struct {
	dev *gpu.Device
	is  profile.Profile
}

const (
	limitUnit  = glsl.ReadLoads * 16 // bytes that an invocation of bench_read reads in a step
	limitSteps = 16                  // of bench_read
	limitPiece = 64 << 20            // most bytes of one buffer
)

// readLimit streams through enough buffers for the bytes. As texels it reads as many at once as the device binds.
func (m *meter) readLimit(bytes int) (best float64, err error) {
	l := m.dev.Info().Limits
	locals := m.limitLocals()
	group := limitUnit * limitSteps * int(locals[len(locals)-1]) // of the largest workgroup
	piece := max(min(bytes, limitPiece, l.MaxStorageBufferRange, l.MaxAllocationSize)/group, 1) * group
	count := max((bytes+piece-1)/piece, 1)
	var buffers []*gpu.Buffer
	defer func() {
		for _, b := range buffers {
			b.Release()
		}
	}()
	buffer := func(size int) (*gpu.Buffer, error) {
		b, err := m.dev.NewBuffer("limit", size, gpu.DeviceLocal)
		if err == nil {
			buffers = append(buffers, b)
		}
		return b, err
	}
	part := max(piece/(limitUnit*limitSteps)*4, 4*op.Align) // of the sums, one for each buffer
	part = (part + 4*op.Align - 1) / (4 * op.Align) * (4 * op.Align)
	sums, err := buffer(count * part)
	if err != nil {
		return 0, err
	}
	fill := m.dev.NewRecording()
	fill.SetName("filling of buffers to measure the device's limits")
	for range count {
		b, err := buffer(piece)
		if err != nil {
			return 0, err
		}
		fill.Fill(b.All(), 0x01010101) // a system may give memory only when it is written
	}
	if err := fill.Run(); err != nil {
		return 0, err
	}
	weights := buffers[1:]
	for _, v := range shaders.Variants[shaders.BenchReadVariant]() {
		bound := piece // at once
		if v == shaders.BenchReadTx {
			bound = min(piece, l.MaxTexelBufferElements*16/group*group)
		}
		if bound == 0 {
			continue
		}
		for _, local := range locals {
			kern, err := shaders.NewBenchRead(m.dev, v, shaders.BenchReadSpec{Local: local})
			if err != nil {
				return 0, err
			}
			rate, err := m.rate(float64(count*piece), func(rec *gpu.Recording) {
				for i, w := range weights {
					for at := 0; at < piece; at += bound {
						size := min(bound, piece-at)
						lanes := size / (limitUnit * limitSteps)
						args := shaders.BenchReadArgs{W: w.Range(at, size), Y: sums.Range(i*part+at/(limitUnit*limitSteps)*4, 4*lanes)}
						kern.Dispatch(rec, args, shaders.BenchReadPush{Steps: limitSteps}, uint32(lanes/int(local)), 1, 1)
					}
				}
			})
			kern.Release()
			if err != nil {
				return 0, err
			}
			best = max(best, rate)
		}
	}
	return best, nil
}

// limitLocals returns the sizes of workgroups that limits are measured with, the largest last.
func (m *meter) limitLocals() []uint32 {
	info := m.dev.Info()
	if m.is.Local.Single == 1 { // each subgroup is one core's vector
		return []uint32{m.is.Local.Norm, m.is.Local.Plain}
	}
	return []uint32{m.is.Local.Plain, max(min(256, uint32(info.Limits.MaxWorkgroupInvocations)), m.is.Local.Plain)}
}

// fmaLimit runs multiply-adds in as many invocations as a large device runs at once.
func (m *meter) fmaLimit() (best float64, err error) {
	const invocations, steps, flops = 1 << 17, 32, glsl.FMAChains * glsl.FMALength * 2
	in, err := m.dev.NewBuffer("limit", 8, gpu.DeviceLocal)
	if err != nil {
		return 0, err
	}
	defer in.Release()
	out, err := m.dev.NewBuffer("limit", 4*invocations, gpu.DeviceLocal)
	if err != nil {
		return 0, err
	}
	defer out.Release()
	if err := m.dev.Upload(in.All(), gpu.BytesOf([]float32{0.5, 0.25})); err != nil {
		return 0, err
	}
	for _, v := range shaders.Variants[shaders.BenchFmaVariant]() {
		for _, local := range m.limitLocals() {
			kern, err := shaders.NewBenchFma(m.dev, v, shaders.BenchFmaSpec{Local: local})
			if err != nil {
				return 0, err
			}
			groups := invocations / local
			rate, err := m.rate(flops*steps*float64(groups*local), func(rec *gpu.Recording) {
				kern.Dispatch(rec, shaders.BenchFmaArgs{X: in.All(), Y: out.All()}, shaders.BenchFmaPush{Steps: steps}, groups, 1, 1)
			})
			kern.Release()
			if err != nil {
				return 0, err
			}
			best = max(best, rate)
		}
	}
	return best, nil
}

// A submission repeats the measured work until it takes limitTime, so that its own cost does not count. The best of
// limitRuns runs counts, or of fewer if they take limitTotal.
const (
	limitTime    = 20 * time.Millisecond
	limitTotal   = 10 * limitTime
	limitRepeats = 256
	limitRuns    = 4
)

// rate returns how much of an amount per second record's dispatches do.
func (m *meter) rate(amount float64, record func(*gpu.Recording)) (float64, error) {
	repeats, runs := 1, 1
	for {
		once, err := m.bestTime(record, repeats, runs)
		if err != nil {
			return 0, err
		}
		if runs == limitRuns {
			return amount * float64(repeats) / once.Seconds(), nil
		}
		if once >= limitTime || repeats == limitRepeats {
			runs = limitRuns
			continue
		}
		repeats = min(max(2*repeats, int(float64(repeats)*1.2*float64(limitTime)/float64(max(once, 1)))), limitRepeats)
	}
}

// bestTime returns the shortest of some runs.
func (m *meter) bestTime(record func(*gpu.Recording), repeats, runs int) (time.Duration, error) {
	rec := m.dev.NewRecording()
	rec.SetName("measurement of the device's limits")
	for range repeats {
		record(rec)
	}
	c, err := rec.End()
	if err != nil {
		return 0, err
	}
	defer c.Release()
	best, total := time.Duration(math.MaxInt64), time.Duration(0)
	for i := 0; i < runs && total < limitTotal; i++ {
		start := time.Now()
		if err := c.Run(); err != nil {
			return 0, err
		}
		best = min(best, time.Since(start))
		total += time.Since(start)
	}
	return best, nil
}
