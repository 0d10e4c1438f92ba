package vulkan

import (
	"sort"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Fit lowers s.Rows, to s.Seqs at the least, until every dispatch of a batch stays within the device's limits: all
// scratch fits one binding, and a dispatch has a workgroup for each row and head.
func Fit(l gpu.Limits, prog *op.Program, s op.Sizes) op.Sizes {
	heads := 1
	for _, step := range prog.Steps {
		if h, ok := step.Op.(interface{ HeadCount() int }); ok {
			heads = max(heads, h.HeadCount())
		}
	}
	most := min(s.Rows, min(l.MaxWorkgroupCount[0], l.MaxWorkgroupCount[1])/heads)
	tooMany := func(rows int) bool {
		try := s
		try.Rows, try.Outs = rows, min(s.Outs, rows)
		return 4*op.NewPlan(prog, try, 0).Scratch > l.MaxStorageBufferRange
	}
	least := max(s.Seqs, 1)
	rows := least + sort.Search(max(most-least, 0), func(i int) bool { return tooMany(least + i + 1) })
	s.Rows, s.Outs = rows, min(s.Outs, rows)
	return s
}
