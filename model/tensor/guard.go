package tensor

import (
	"reflect"
	"runtime/debug"
	"sync"
)

// A tensor's bytes may lie in a mapped file, which others can cut or overwrite while it is read: the processor then
// stops at an address without memory, or reads numbers of two files. Who reads such bytes does so within Use, or within
// Guard where Use waits for it, in each goroutine; who maps a file says so to Watch.

// watched is memory that is a mapped file.
type watched struct {
	from, to uintptr
	check    func(fault bool) error
}

var watches struct {
	sync.RWMutex
	list map[*watched]struct{}
}

// Watch tells that data, which is not empty, is a mapped file, until stop is called. check returns an error if the file
// is no longer what was mapped; given a fault, which is that data could not be read, it returns one anyway.
func Watch(data []byte, check func(fault bool) error) (stop func()) {
	w := &watched{from: address(data), check: check}
	w.to = w.from + uintptr(len(data))
	watches.Lock()
	defer watches.Unlock()
	if watches.list == nil {
		watches.list = make(map[*watched]struct{})
	}
	watches.list[w] = struct{}{}
	return func() {
		watches.Lock()
		defer watches.Unlock()
		delete(watches.list, w)
	}
}

func address(data []byte) uintptr { return reflect.ValueOf(data).Pointer() }

// find returns what is watched at an address, or nil.
func find(at uintptr) *watched {
	watches.RLock()
	defer watches.RUnlock()
	for w := range watches.list {
		if at >= w.from && at < w.to {
			return w
		}
	}
	return nil
}

// Guard calls use and returns its error, or that of a watched file if use read where the file has no bytes any more. It
// guards this goroutine alone.
func Guard(use func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if fault, ok := p.(interface{ Addr() uintptr }); ok { // a runtime.Error: see debug.SetPanicOnFault
			if w := find(fault.Addr()); w != nil {
				err = w.check(true)
				return
			}
		}
		panic(p)
	}()
	return use()
}

// Use is Guard for a use of data and what was made of it: once that is done, it also asks whether the file that data
// lies in, if any, has changed. If so, that is the error, since what use did is worth nothing.
func Use(data []byte, use func() error) error {
	err := Guard(use)
	if len(data) == 0 {
		return err
	}
	if w := find(address(data)); w != nil {
		if changed := w.check(false); changed != nil {
			return changed
		}
	}
	return err
}
