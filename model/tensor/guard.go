package tensor

import (
	"reflect"
	"runtime/debug"
	"sync"
)

// A tensor's bytes may lie in a mapped file, and others can cut or overwrite the file while it is read. Then the
// processor stops at an address without memory, or reads numbers of two files. So code reads such bytes within Use.
// Goroutines that Use waits for read them within Guard. Code that maps a file tells Watch.

// watched is the memory of a mapped file.
type watched struct {
	from, to uintptr
	check    func(fault bool) error
}

var watches struct {
	sync.RWMutex
	list map[*watched]struct{}
}

// Watch notes that data, which is not empty, is a mapped file, until stop is called. check returns an error if the file
// is no longer the one that was mapped. If fault is set, data could not be read, and check returns an error in any
// case.
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

// find returns the mapped file at an address, or nil.
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

// Guard calls use and returns its error. If use reads where a watched file has no more bytes, Guard returns that file's
// error. It guards this goroutine alone.
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

// Use is Guard for a use of data and of what was made from it. After the use it asks whether the file that data lies
// in, if any, has changed. If so, it returns that error, since the results count for nothing.
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
