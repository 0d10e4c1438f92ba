package state

import (
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// saved keeps the states that some slots had when they were last saved.
type saved struct {
	buf   *gpu.Buffer
	rows  int // slots that buf holds
	saves []saveEntry
}

// saveEntry is the copy of the states of some slots, in this order.
type saveEntry struct {
	slots []int
	cmds  *gpu.Commands
}

// maxSaves bounds the copies kept.
const maxSaves = 64

func (s *saved) release() {
	for _, save := range s.saves {
		save.cmds.Release()
	}
	s.buf.Release()
	*s = saved{}
}

// Save starts the copy of the states of some slots; Restore brings them back. The caller waits for the copy before it
// saves again.
func (s *States) Save(slots []int) (*gpu.Commands, error) {
	c, err := s.saveCommands(slots)
	if err == nil {
		err = c.Submit()
	}
	return c, err
}

func (s *States) saveCommands(slots []int) (*gpu.Commands, error) {
	kept := &s.saved
	same := func(entry saveEntry) bool { return slices.Equal(entry.slots, slots) }
	if i := slices.IndexFunc(kept.saves, same); i >= 0 {
		return kept.saves[i].cmds, nil
	}
	if kept.rows < len(slots) {
		kept.release()
		var err error
		if kept.buf, err = s.dev.NewBuffer("saved states", max(4*len(slots)*s.width, 4), gpu.DeviceLocal); err != nil {
			return nil, err
		}
		kept.rows = len(slots)
	}
	rec := s.dev.NewRecording()
	rec.SetName("copy of states before decode")
	entry := saveEntry{slots: slices.Clone(slots)}
	for i, slot := range slots {
		if err := s.copySaved(slot, i, func(state, saved gpu.Range) { rec.Copy(saved, state) }); err != nil {
			return nil, err
		}
	}
	var err error
	if entry.cmds, err = rec.End(); err != nil {
		return nil, err
	}
	if len(kept.saves) == maxSaves {
		kept.saves[0].cmds.Release()
		kept.saves = slices.Delete(kept.saves, 0, 1)
	}
	kept.saves = append(kept.saves, entry)
	return entry.cmds, nil
}

// copySaved calls copy for each part of a slot's state and its place in a row of the saved states.
func (s *States) copySaved(slot, row int, copy func(state, saved gpu.Range)) error {
	return s.eachVector(slot, func(part gpu.Range, at int) { copy(part, s.saved.buf.Range(4*row*s.width+at, part.Size)) })
}

// Restore gives a slot the state that the i-th slot of the last Save had at that time.
func (s *States) Restore(i, slot int) error {
	if err := s.open(); err != nil {
		return err
	}
	if i < 0 || i >= s.saved.rows {
		return fmt.Errorf("vulkan: restore: want a draw below %d, got %d", s.saved.rows, i)
	}
	rec := s.dev.NewRecording()
	rec.SetName(fmt.Sprintf("restoring of the state of slot %d", slot))
	if err := s.copySaved(slot, i, func(state, saved gpu.Range) { rec.Copy(state, saved) }); err != nil {
		return err
	}
	return rec.Run()
}
