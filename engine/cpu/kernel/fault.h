#ifndef RWKV_FAULT_H
#define RWKV_FAULT_H

#include <stdint.h>

// rk_guard_init is to be called once, before rk_guard.
void rk_guard_init(void);

// rk_guard calls do_it. It returns the address if that read mapped memory that is not there, else 0.
uintptr_t rk_guard(void (*do_it)(void *), void *with);

#endif
