#include "shim.h"
#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#include <time.h>
#endif

void rg_sleep(uint32_t ms) {
#ifdef _WIN32
	Sleep(ms);
#else
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
	nanosleep(&t, NULL);
#endif
}

void *rg_load(const char *name) {
#ifdef _WIN32
	HMODULE lib = LoadLibraryA(name);
	return lib ? (void *)GetProcAddress(lib, "vkGetInstanceProcAddr") : NULL;
#else
	void *lib = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	return lib ? dlsym(lib, "vkGetInstanceProcAddr") : NULL;
#endif
}
