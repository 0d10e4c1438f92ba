package device

import (
	"errors"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest/faultvk"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// A device that is lost is opened anew once for all its users. All leave it before it is closed, each can work on it
// again when it has reopened it as well, and who has parted is not asked. As long as it works only who reopens leaves
// it.
func TestReopen(t *testing.T) {
	ctl := gputest.Faulty(t)
	if ctl == nil {
		return
	}
	d, err := Open("gpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	m := golden.Tiny(t)
	var users [3]*User
	var executors [3]op.Executor
	var left []int
	open := func(i int) {
		t.Helper()
		if executors[i], err = users[i].Executor(m, op.Sizes{Slots: 1, Rows: 4, Seqs: 1, Outs: 1}, Accuracy{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	leave := func(i int) error {
		if executors[i] == nil {
			return nil
		}
		left = append(left, i)
		e := executors[i]
		executors[i] = nil
		return e.Close() // an error if the device is closed
	}
	for i := range users {
		users[i] = d.Join(func() {
			if err := leave(i); err != nil {
				t.Errorf("user %d leaves: %v", i, err)
			}
		})
		open(i)
	}
	if err := users[2].Part(func() error { return leave(2) }); err != nil {
		t.Fatal(err)
	}
	reopen := func(i int, want ...int) {
		t.Helper()
		left = nil
		if err := users[i].Reopen(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(left, want) {
			t.Errorf("user %d reopens: %d left, want %d", i, left, want)
		}
		open(i)
	}
	reopen(0, 0)
	if err := users[1].Begin(); err != nil {
		t.Errorf("the other user of a device that works: %v", err)
	} else {
		users[1].End()
	}
	if err := ctl.Begin(faultvk.Fault{Function: "vkQueueSubmit", At: 1, Result: faultvk.DeviceLost}); err != nil {
		t.Fatal(err)
	}
	var b op.Batch
	b.Add(0, []int{1}, 1)
	if err := executors[1].Forward(&b); !errors.Is(err, gpu.ErrDeviceLost) {
		t.Fatalf("want the device lost, got %v", err)
	}
	reopen(0, 0, 1)
	var of *Error
	if err := users[1].Begin(); !errors.Is(err, gpu.ErrDeviceLost) || !errors.As(err, &of) {
		t.Errorf("want the device lost for the other user, got %v", err)
	}
	opened := d.current().device
	reopen(1) // nothing is left to leave, and the device stays
	if d.current().device != opened {
		t.Error("the device was opened once more")
	}
	for _, u := range users[:2] {
		if err := u.Begin(); err != nil {
			t.Error(err)
			continue
		}
		u.End()
	}
	for i, u := range users[:2] {
		if err := u.Part(func() error { return leave(i) }); err != nil {
			t.Error(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
