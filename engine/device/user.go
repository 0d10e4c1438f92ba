package device

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// User is a user of a device with an executor of its own. The device is opened anew only while no user works on it:
// between Begin and End, and during Executor and Part. One goroutine at a time may use a User. Users of a device do not
// wait for each other, except for a Reopen.
type User struct {
	d      *Device
	leave  func()
	number int // the opening of the device that the user's executor is for

	parts []*User // of the devices that the device consists of
}

// Join returns a new user. leave closes its executor, if there is one, before the device is closed. Another user's
// Reopen may call it too, while nobody works on the device.
func (d *Device) Join(leave func()) *User {
	d.mu.Lock()
	defer d.mu.Unlock()
	u := &User{d: d, leave: leave, number: d.number}
	for _, x := range partsOf(d) {
		u.parts = append(u.parts, x.Join(leave))
	}
	d.users = append(d.users, u)
	return u
}

// Part ends the use of the device. It calls close, which closes the user's executor unless leave has closed it.
func (u *User) Part(close func() error) error {
	d := u.d
	d.use.RLock()
	defer d.use.RUnlock()
	d.mu.Lock()
	d.users = slices.DeleteFunc(d.users, func(other *User) bool { return other == u })
	d.mu.Unlock()
	err := close()
	for _, part := range u.parts {
		_ = part.Part(func() error { return nil }) // it has closed
	}
	return err
}

// Begin keeps the device open until End. After another user's Reopen, also one that failed, it returns an error that
// matches gpu.ErrDeviceLost, and there is nothing to end.
func (u *User) Begin() error {
	d := u.d
	d.use.RLock()
	d.mu.Lock()
	now, number := d.now, d.number
	d.mu.Unlock()
	err := now.check()
	if err == nil && number != u.number {
		err = &Error{Device: now.device.Info().Name, Err: fmt.Errorf("%w: another engine reopened it", gpu.ErrDeviceLost)}
	}
	begun := 0
	for err == nil && begun < len(u.parts) {
		if err = u.parts[begun].Begin(); err == nil {
			begun++
		}
	}
	if err != nil {
		u.end(begun)
	}
	return err
}

// End ends what Begin began.
func (u *User) End() { u.end(len(u.parts)) }

// end ends what Begin began on the device and the first n of its parts.
func (u *User) end(n int) {
	for _, part := range u.parts[:n] {
		part.End()
	}
	u.d.use.RUnlock()
}

// Executor makes an executor on the open device. See Prober for the parameters.
func (u *User) Executor(m *model.Model, s op.Sizes, a Accuracy, progress func(done, all int64) error) (op.Executor, error) {
	d := u.d
	d.use.RLock()
	defer d.use.RUnlock()
	d.mu.Lock()
	u.number = d.number
	d.mu.Unlock()
	if d.split != nil {
		return u.several(m, s, a, progress)
	}
	e, err := d.prober(m, s, a, progress)
	if p, ok := e.(*vulkan.Prober); ok {
		return p.Exec, err
	}
	return e, err
}

// Reopen opens the device anew if it does not work. It may work since another user has reopened it. In either case the
// user leaves the old opening. If Reopen opens the device, all other users have to reopen too; until then their Begin
// fails. If it cannot open the device, the device is closed for all users until one of them opens it by Reopen.
func (u *User) Reopen() error {
	d := u.d
	d.use.Lock()
	defer d.use.Unlock()
	u.leave()
	for _, part := range u.parts { // nobody works on any of them
		if err := part.Reopen(); err != nil {
			return err
		}
	}
	d.mu.Lock()
	before, users := d.now, slices.Clone(d.users)
	d.mu.Unlock()
	if before.works() {
		return nil
	}
	info := before.device.Info()
	if !before.closed {
		for _, other := range users {
			other.leave()
		}
		_ = before.close() // it is lost
		d.mu.Lock()
		d.now.closed = true
		d.mu.Unlock()
	}
	spec := strconv.Itoa(info.Index)
	if list, err := List(); err == nil && (info.Index >= len(list) || list[info.Index].Name != info.Name) {
		spec = info.Name // the system counts its devices in another way now
	}
	return d.open(spec)
}
