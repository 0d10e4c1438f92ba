package gpu

import (
	"os"
	"syscall"
	"unsafe"
)

// advisePages asks for large pages behind the whole pages of memory that nobody has used yet. Where weights lie in pages of
// 4 KiB, a processor that reads them waits for the tables of pages too.
func advisePages(p unsafe.Pointer, size int) {
	page := uintptr(os.Getpagesize())
	skip := (page - uintptr(p)%page) % page
	if uintptr(size) < skip+page {
		return
	}
	whole := (uintptr(size) - skip) / page * page
	_ = syscall.Madvise(unsafe.Slice((*byte)(unsafe.Add(p, skip)), whole), syscall.MADV_HUGEPAGE) // at worst pages are small
}
