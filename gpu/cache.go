package gpu

// #include "shim.h"
import "C"

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"unsafe"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// pipelineCache keeps compiled pipelines from run to run, in
// <user cache>/rwkv-gpu/pipeline-<vendor>-<device>-<pipelineCacheUUID>.bin: a magic word, the
// SHA-256 of what follows, and the driver's data. The sum matters because drivers trust their
// own data blindly.
type pipelineCache struct {
	handle C.uint64_t
	path   string // "" keeps nothing on disk
	loaded []byte // the driver's data as read
}

const cacheMagic = "RWKVPC01"

func (d *Device) cachePath() (string, error) {
	dir := d.opts.PipelineCacheDir
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(user, "rwkv-gpu")
	}
	return filepath.Join(dir, fmt.Sprintf("pipeline-%04x-%04x-%x.bin", d.phys.vendorID, d.phys.deviceID, d.phys.cacheUUID)), nil
}

// openCache makes the pipeline cache. A failure costs only compile time, and is told as a Note.
func (d *Device) openCache() {
	var data []byte
	if !d.opts.NoPipelineCache {
		path, err := d.cachePath()
		if err == nil {
			d.cache.path = path
			data, err = d.readCache(path)
		}
		if err != nil && !os.IsNotExist(err) {
			d.in.message(Note, fmt.Sprintf("pipeline cache ignored: %v", err))
		}
	}
	d.cache.loaded = data
	if r := C.rg_cache_create(d.c, unsafe.Pointer(unsafe.SliceData(data)), C.size_t(len(data)), &d.cache.handle); r != 0 {
		d.cache.handle = 0
		d.in.message(Note, fmt.Sprintf("no pipeline cache: %v", check("vkCreatePipelineCache", int32(r))))
	}
}

// maxCache bounds the file; drivers keep some 100 KiB for a kernel.
const maxCache = 1 << 30

func (d *Device) readCache(path string) ([]byte, error) {
	file, err := files.ReadRegular(path, maxCache)
	if err != nil {
		return nil, err
	}
	const head = len(cacheMagic) + sha256.Size
	if len(file) < head || string(file[:len(cacheMagic)]) != cacheMagic {
		return nil, fmt.Errorf("%s: not a pipeline cache", path)
	}
	data := file[head:]
	if sum := sha256.Sum256(data); !bytes.Equal(sum[:], file[len(cacheMagic):head]) {
		return nil, fmt.Errorf("%s: checksum does not match", path)
	}
	if !d.ownCache(data) {
		return nil, fmt.Errorf("%s: made by another driver", path)
	}
	return data, nil
}

// ownCache checks the header that the Vulkan specification gives pipeline cache data.
func (d *Device) ownCache(data []byte) bool {
	le := binary.LittleEndian
	return len(data) >= 32 && le.Uint32(data) >= 32 && le.Uint32(data[4:]) == 1 && le.Uint32(data[8:]) == d.phys.vendorID &&
		le.Uint32(data[12:]) == d.phys.deviceID && bytes.Equal(data[16:32], d.phys.cacheUUID[:])
}

// closeCache writes the cache if it changed, and releases it.
func (d *Device) closeCache() {
	if d.cache.handle == 0 {
		return
	}
	defer C.rg_cache_destroy(d.c, d.cache.handle)
	if d.cache.path == "" {
		return
	}
	if err := d.writeCache(); err != nil {
		d.in.message(Note, fmt.Sprintf("pipeline cache not written: %v", err))
	}
}

func (d *Device) writeCache() error {
	var n C.size_t
	if r := C.rg_cache_data(d.c, d.cache.handle, &n, nil); r != 0 {
		return check("vkGetPipelineCacheData", int32(r))
	}
	data := make([]byte, n)
	if r := C.rg_cache_data(d.c, d.cache.handle, &n, unsafe.Pointer(unsafe.SliceData(data))); r != 0 {
		return check("vkGetPipelineCacheData", int32(r))
	}
	data = data[:n]
	if !d.ownCache(data) || bytes.Equal(data, d.cache.loaded) {
		return nil
	}
	sum := sha256.Sum256(data)
	return files.Keep(d.cache.path, slices.Concat([]byte(cacheMagic), sum[:], data), false)
}
