package tensor

import (
	"reflect"
	"runtime/debug"
	"sync"
)

// A tensor's bytes may lie in a mapped file, and others can cut or overwrite the file while it is read. Then the
// processor stops at an address without memory, or reads numbers of two files. So code reads such bytes within Use.
// Goroutines that Use waits for read them within Guard. Code that maps a file tells Watch. Code that goes on reading
// the bytes after it has loaded them tells Hold.

// Watched is a mapped file, from Watch until Stop.
type Watched struct {
	from, to uintptr
	check    func(fault bool) error
	close    func() error
	holds    int  // see Hold
	stopped  bool // reports whether the last holder closes it
}

var watches struct {
	sync.RWMutex
	list map[*Watched]struct{}
}

// Watch notes that data, which is not empty, is a mapped file. check returns an error if the file is no longer the one
// that was mapped. If fault is set, data could not be read, and check returns an error in any case. close unmaps the
// file.
func Watch(data []byte, check func(fault bool) error, close func() error) *Watched {
	w := &Watched{from: address(data), check: check, close: close}
	w.to = w.from + uintptr(len(data))
	watches.Lock()
	defer watches.Unlock()
	if watches.list == nil {
		watches.list = make(map[*Watched]struct{})
	}
	watches.list[w] = struct{}{}
	return w
}

// Stop closes the file and returns the error of that. If somebody holds the file, the last Release closes it.
func (w *Watched) Stop() error {
	watches.Lock()
	if w.stopped = true; w.holds > 0 {
		watches.Unlock()
		return nil
	}
	delete(watches.list, w)
	watches.Unlock()
	return w.close()
}

// Held reports whether somebody reads the file's bytes beyond a Use.
func (w *Watched) Held() bool {
	watches.RLock()
	defer watches.RUnlock()
	return w.holds > 0
}

// Hold keeps the mapped file that data lies in until Release, also beyond its Stop. It returns nil if data lies in
// none.
func Hold(data []byte) *Watched {
	if len(data) == 0 {
		return nil
	}
	w := find(address(data))
	if w == nil {
		return nil
	}
	watches.Lock()
	defer watches.Unlock()
	if w.stopped && w.holds == 0 {
		return nil // closed meanwhile
	}
	w.holds++
	return w
}

// Release ends a Hold.
func (w *Watched) Release() {
	watches.Lock()
	w.holds--
	last := w.stopped && w.holds == 0
	if last {
		delete(watches.list, w)
	}
	watches.Unlock()
	if last {
		_ = w.close() // nothing is lost: the file was only read
	}
}

// Changed returns an error if the file is no longer the one that was mapped.
func (w *Watched) Changed() error { return w.check(false) }

// InFile reports whether data lies in a mapped file.
func InFile(data []byte) bool { return len(data) > 0 && find(address(data)) != nil }

// Fault returns the error of the mapped file that has the address, at which memory could not be read, or nil if no file
// has it.
func Fault(at uintptr) error {
	if w := find(at); w != nil {
		return w.check(true)
	}
	return nil
}

func address(data []byte) uintptr { return reflect.ValueOf(data).Pointer() }

// find returns the mapped file at an address, or nil.
func find(at uintptr) *Watched {
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
			if err = Fault(fault.Addr()); err != nil {
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
		if changed := w.Changed(); changed != nil {
			return changed
		}
	}
	return err
}
