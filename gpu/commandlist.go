package gpu

// #include "shim.h"
import "C"

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unsafe"
)

// commandKind says what a command of a recording does.
type commandKind uint8

const (
	dispatches commandKind = iota
	copies                 // from the second range to the first
	fills
	waits // for all that was done in the stages of value
	stamps
)

// command is one command of a recording. The list has the ranges and push constants of all commands.
type command struct {
	kind      commandKind
	kernel    *Kernel // of a dispatch
	groups    [3]uint32
	value     uint32 // of a fill, the stages of a barrier, or the slot of a timestamp
	args      int    // the first of its ranges
	argCount  int
	push      int // the first of its bytes
	pushBytes int
}

// commandList holds the commands of a recording.
type commandList struct {
	all  []command
	args []Range
	push []byte
}

func (l *commandList) add(c command, push []byte, args ...Range) {
	c.args, c.argCount, c.push, c.pushBytes = len(l.args), len(args), len(l.push), len(push)
	l.args, l.push = append(l.args, args...), append(l.push, push...)
	l.all = append(l.all, c)
}

func (l *commandList) argsOf(c *command) []Range { return l.args[c.args:][:c.argCount] }

func (l *commandList) pushOf(c *command) []byte { return l.push[c.push:][:c.pushBytes] }

// String lists the commands with all that they do, one a line. Two recordings with the same listing do the same, if
// buffers of one name are the same. The listing names a kernel with its specialization constants, and a range with its
// buffer.
func (rec *Recording) String() string {
	var b strings.Builder
	for i := range rec.list.all {
		c := &rec.list.all[i]
		switch c.kind {
		case dispatches:
			fmt.Fprintf(&b, "dispatch %s%v %v push %x", c.kernel.name, c.kernel.spec, c.groups, rec.list.pushOf(c))
		case copies:
			b.WriteString("copy")
		case fills:
			fmt.Fprintf(&b, "fill %#x", c.value)
		case waits:
			fmt.Fprintf(&b, "barrier after %#x", c.value)
		case stamps:
			fmt.Fprintf(&b, "timestamp %d", c.value)
		}
		for _, a := range rec.list.argsOf(c) {
			fmt.Fprintf(&b, " %q[%d:%d]", a.Buffer.name, a.Offset, a.Offset+a.Size)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// writer writes a list to a command buffer. Its methods' caller holds dev.mu.
type writer struct {
	r    *recorded
	list *commandList

	kernel *Kernel // bound now
	set    C.uint64_t
	layout int
	sets   map[string]C.uint64_t
	pool   setPool

	key  []byte // scratch
	args []C.rg_arg
}

// write writes all commands. Some of the buffers and kernels that they use may have been released since.
func (w *writer) write() error {
	d, cmd := w.r.dev, w.r.cmd
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range w.list.all {
		c := &w.list.all[i]
		args := w.list.argsOf(c)
		for _, a := range args {
			if err := a.within(d); err != nil {
				return err
			}
			w.r.useBuffer(a.Buffer)
		}
		switch c.kind {
		case dispatches:
			if err := w.dispatch(c, args); err != nil {
				return fmt.Errorf("kernel %q: %w", c.kernel.name, err)
			}
		case copies:
			dst, src := args[0], args[1]
			C.rg_cmd_copy(d.c, cmd, C.uint64_t(bits(src.Buffer.vk)), C.uint64_t(src.Offset), C.uint64_t(bits(dst.Buffer.vk)), C.uint64_t(dst.Offset), C.uint64_t(src.Size))
		case fills:
			C.rg_cmd_fill(d.c, cmd, C.uint64_t(bits(args[0].Buffer.vk)), C.uint64_t(args[0].Offset), C.uint64_t(args[0].Size), C.uint32_t(c.value))
		case waits:
			C.rg_cmd_barrier(d.c, cmd, C.uint32_t(c.value), stageCompute|stageTransfer)
		case stamps:
			if err := w.r.timestamp(int(c.value)); err != nil {
				return fmt.Errorf("timestamp: %w", err)
			}
		}
	}
	C.rg_cmd_barrier(d.c, cmd, stageCompute|stageTransfer, stageHost)
	return check("vkEndCommandBuffer", int32(C.rg_cmd_end(d.c, cmd)))
}

func (w *writer) dispatch(c *command, args []Range) error {
	k := c.kernel
	if k.released {
		return fmt.Errorf("released before the end of the recording")
	}
	set, err := w.bindArgs(k, args)
	if err != nil {
		return err
	}
	w.r.useKernel(k)
	pipeline, bound := C.uint64_t(0), set
	if k != w.kernel {
		pipeline = k.pipeline
	}
	if set == w.set && k.layout.id == w.layout {
		bound = 0
	}
	w.kernel, w.set, w.layout = k, set, k.layout.id
	push := w.list.pushOf(c)
	C.rg_cmd_dispatch(w.r.dev.c, w.r.cmd, pipeline, C.uint64_t(k.layout.pipeline), bound, unsafe.Pointer(unsafe.SliceData(push)), C.uint32_t(len(push)),
		C.uint32_t(c.groups[0]), C.uint32_t(c.groups[1]), C.uint32_t(c.groups[2]))
	return nil
}

// bindArgs returns a descriptor set for these ranges. It takes an earlier one if there is one.
func (w *writer) bindArgs(k *Kernel, args []Range) (C.uint64_t, error) {
	w.args = w.args[:0]
	w.key = binary.LittleEndian.AppendUint32(w.key[:0], uint32(k.layout.id))
	for i, a := range args {
		size := a.Buffer.dev.bound(a, &k.bindings[i])
		arg := C.rg_arg{buffer: C.uint64_t(bits(a.Buffer.vk)), offset: C.uint64_t(a.Offset), size: C.uint64_t(size)}
		if k.bindings[i].Kind == UniformTexel {
			v, err := a.Buffer.view(a.Offset, size, k.bindings[i].Format)
			if err != nil {
				return 0, fmt.Errorf("binding %d %q: %w", i, k.bindings[i].Name, err)
			}
			arg.view = C.uint64_t(bits(v))
		}
		w.args = append(w.args, arg)
		for _, v := range [...]C.uint64_t{arg.buffer, arg.offset, arg.size, arg.view} {
			w.key = binary.LittleEndian.AppendUint64(w.key, uint64(v))
		}
	}
	if set, ok := w.sets[string(w.key)]; ok {
		return set, nil
	}
	set, err := w.newSet(k)
	if err == nil {
		w.sets[string(w.key)] = set
	}
	return set, err
}

// setPool is the descriptor pool of the next sets.
type setPool struct {
	handle               C.uint64_t
	size                 int // sets of the pool
	sets, storage, texel int // left
}

const (
	firstPool   = 32
	largestPool = 1024
)

// newSet makes a descriptor set of w.args, growing the pools.
func (w *writer) newSet(k *Kernel) (C.uint64_t, error) {
	if len(k.bindings) == 0 {
		return 0, nil
	}
	storage, texel := 0, 0
	for _, b := range k.bindings {
		if b.Kind == UniformTexel {
			texel++
		} else {
			storage++
		}
	}
	c := w.r.dev.c
	var set C.uint64_t
	for try := 0; ; try++ {
		p := &w.pool
		if p.sets < 1 || p.storage < storage || p.texel < texel {
			if err := w.growPool(); err != nil {
				return 0, err
			}
		}
		r := C.rg_set(c, p.handle, C.uint64_t(k.layout.set), C.uint32_t(len(w.args)), unsafe.SliceData(w.args), &set)
		if r == 0 {
			p.sets, p.storage, p.texel = p.sets-1, p.storage-storage, p.texel-texel
			w.r.stats.Sets++
			return set, nil
		}
		if try > 0 || r != resultOutOfPoolMemory && r != resultFragmentedPool {
			return 0, check("vkAllocateDescriptorSets", int32(r))
		}
		p.sets = 0 // the pool is full before we thought so
	}
}

func (w *writer) growPool() error {
	n := min(max(firstPool, 2*w.pool.size), largestPool)
	storage, texel := max(8*n, C.RG_MAX_BINDINGS), max(4*n, C.RG_MAX_BINDINGS)
	var handle C.uint64_t
	if r := C.rg_set_pool(w.r.dev.c, C.uint32_t(n), C.uint32_t(storage), C.uint32_t(texel), &handle); r != 0 {
		return check("vkCreateDescriptorPool", int32(r))
	}
	w.r.pools = append(w.r.pools, handle)
	w.pool = setPool{handle, n, n, storage, texel}
	return nil
}
