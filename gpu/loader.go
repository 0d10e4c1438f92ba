package gpu

/*
#cgo CFLAGS: -O2 -std=gnu11
#cgo linux LDFLAGS: -ldl
#include <stdlib.h>
#include "shim.h"
*/
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	vk "github.com/vulkan-go/vulkan"
)

// loaderEnv names one loader library to use instead of the usual ones.
const loaderEnv = "RWKV_VULKAN_LOADER"

func loaderNames() []string {
	if name := os.Getenv(loaderEnv); name != "" {
		return []string{name}
	}
	switch runtime.GOOS {
	case "windows":
		return []string{"vulkan-1.dll"}
	case "darwin":
		return []string{"libvulkan.1.dylib", "libvulkan.dylib", "/opt/homebrew/lib/libvulkan.1.dylib", "/usr/local/lib/libvulkan.1.dylib", "libMoltenVK.dylib"}
	}
	return []string{"libvulkan.so.1", "libvulkan.so"}
}

// loadMu guards the binding's own function pointers, which are global to the process.
var (
	loadMu     sync.Mutex
	boundTo    unsafe.Pointer // the vkGetInstanceProcAddr that the binding holds
	boundCalls bool           // instance-level functions are bound as well
)

// Loader returns the file name and the Vulkan version of the loader that Open uses. Its error is Open's.
func Loader() (name, version string, err error) {
	gipa, name, err := loadNamed()
	if err != nil {
		return "", "", err
	}
	var known C.uint32_t
	if err := check("vkEnumerateInstanceVersion", int32(C.rg_instance_version(gipa, &known))); err != nil {
		return "", "", err
	}
	return filepath.Base(name), versionString(uint32(known)), nil
}

// load opens the Vulkan loader and returns vkGetInstanceProcAddr.
func load() (unsafe.Pointer, error) {
	gipa, _, err := loadNamed()
	return gipa, err
}

// loadNamed is load, and returns which of the usual names it found.
func loadNamed() (gipa unsafe.Pointer, name string, err error) {
	names := loaderNames()
	for _, name := range names {
		c := C.CString(name)
		gipa := C.rg_load(c)
		C.free(unsafe.Pointer(c))
		if gipa == nil {
			continue
		}
		if err := bindLoader(gipa); err != nil {
			return nil, "", fmt.Errorf("%w: %s: %w", ErrNoLoader, name, err)
		}
		return gipa, name, nil
	}
	hint := ""
	if os.Getenv(loaderEnv) != "" {
		hint = " (from " + loaderEnv + ")"
	}
	return nil, "", fmt.Errorf("%w: tried %s%s", ErrNoLoader, strings.Join(names, ", "), hint)
}

// bindLoader gives the binding its vkGetInstanceProcAddr.
func bindLoader(gipa unsafe.Pointer) error {
	loadMu.Lock()
	defer loadMu.Unlock()
	if boundTo == gipa {
		return nil
	}
	vk.SetGetInstanceProcAddr(gipa)
	if err := vk.Init(); err != nil {
		return err
	}
	boundTo, boundCalls = gipa, false
	return nil
}

// bind fills the binding's instance-level functions. The loader's entry points serve every
// instance, so the first one will do.
func bind(inst unsafe.Pointer) error {
	loadMu.Lock()
	defer loadMu.Unlock()
	if boundCalls {
		return nil
	}
	if err := vk.InitInstance(vk.Instance(inst)); err != nil {
		return err
	}
	boundCalls = true
	return nil
}
