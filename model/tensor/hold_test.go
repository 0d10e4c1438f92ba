package tensor

import (
	"errors"
	"testing"
)

// What is held stays until the last Release, also beyond Stop, and is found by any address in it.
func TestHold(t *testing.T) {
	data := make([]byte, 64)
	changed, closed := errors.New("changed"), 0
	var state error
	w := Watch(data, func(fault bool) error {
		if fault {
			return changed
		}
		return state
	}, func() error { closed++; return nil })
	if Hold(nil) != nil || Hold(make([]byte, 1)) != nil || InFile(make([]byte, 1)) || !InFile(data[63:]) || w.Held() {
		t.Error("want data found in the file alone, and nobody who holds it")
	}
	a, b := Hold(data), Hold(data[10:20])
	if a != w || b != w || !w.Held() {
		t.Fatalf("held %p and %p, want %p", a, b, w)
	}
	if err := w.Changed(); err != nil {
		t.Errorf("a file that has not changed: %v", err)
	}
	if state = changed; !errors.Is(w.Changed(), changed) || !errors.Is(Fault(w.from+63), changed) || Fault(w.to) != nil {
		t.Error("want the file's error for it and for its addresses alone")
	}
	if err := w.Stop(); err != nil || closed != 0 {
		t.Errorf("closed %d times while it is held (%v)", closed, err)
	}
	a.Release()
	if closed != 0 || !InFile(data) {
		t.Error("the file is gone while somebody holds it")
	}
	b.Release()
	if closed != 1 || InFile(data) || Hold(data) != nil || Fault(w.from) != nil {
		t.Errorf("closed %d times by the last who held it", closed)
	}
	failed := errors.New("failed")
	if err := Watch(data, func(bool) error { return nil }, func() error { return failed }).Stop(); !errors.Is(err, failed) || InFile(data) {
		t.Errorf("want the error of close, got %v", err)
	}
}

// A tensor is stored if its bytes exist before they are asked for: as a whole, under another shape, or as a part.
func TestStored(t *testing.T) {
	whole := FromBytes("x", F32, []int{2, 2}, make([]byte, 16))
	for name, x := range map[string]*Tensor{"whole": whole, "shape": whole.Reshaped(4), "part": whole.Part("y", []int{2}, nil)} {
		if !x.Stored() {
			t.Errorf("%s: want it stored", name)
		}
	}
	for name, x := range map[string]*Tensor{"transposed": whole.Transposed(), "part of that": whole.Transposed().Reshaped(4), "made": New("x", F32, []int{1}, nil)} {
		if x.Stored() {
			t.Errorf("%s: want it made by each load", name)
		}
	}
}
