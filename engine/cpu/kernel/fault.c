// What becomes of a kernel that reads a mapped file where the file has no more bytes: the system then sends its thread
// SIGBUS.

#include "fault.h"

#if defined(_WIN32) // a file that is mapped cannot be cut there

uintptr_t rk_guard(void (*do_it)(void *), void *with) {
	do_it(with);
	return 0;
}

void rk_guard_init(void) {}

#else

#include <setjmp.h>
#include <signal.h>
#include <string.h>

static _Thread_local sigjmp_buf back;
static _Thread_local volatile sig_atomic_t guarded;
static _Thread_local volatile uintptr_t fault_at;
static struct sigaction other; // the Go runtime's

static void on_fault(int sig, siginfo_t *info, void *context) {
	if (guarded && info->si_code > 0 && info->si_addr) { // from an access, and not from another process
		guarded = 0;
		fault_at = (uintptr_t)info->si_addr;
		siglongjmp(back, 1);
	}
	if (other.sa_flags & SA_SIGINFO) other.sa_sigaction(sig, info, context);
	else if (other.sa_handler != SIG_DFL && other.sa_handler != SIG_IGN) other.sa_handler(sig);
	else {
		signal(sig, SIG_DFL);
		raise(sig);
	}
}

void rk_guard_init(void) {
	struct sigaction own;
	memset(&own, 0, sizeof own);
	sigemptyset(&own.sa_mask);
	own.sa_sigaction = on_fault;
	own.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER; // NODEFER: siglongjmp leaves the handler for good
	sigaction(SIGBUS, &own, &other);
}

// Darwin notes that a thread has left its alternate stack only where the jump takes the mask of signals back.
#if defined(__APPLE__)
#define SAVE_MASK 1
#else
#define SAVE_MASK 0
#endif

uintptr_t rk_guard(void (*do_it)(void *), void *with) {
	if (sigsetjmp(back, SAVE_MASK)) return fault_at;
	guarded = 1;
	do_it(with);
	guarded = 0;
	return 0;
}

#endif
