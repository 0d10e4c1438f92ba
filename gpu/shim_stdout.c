/* Go's runtime opens /dev/null in the place of a closed standard stream before any Go code runs; this runs earlier. */
#include "shim.h"

#ifndef _WIN32
#include <errno.h>
#include <fcntl.h>

static int closed;

__attribute__((constructor)) static void look(void) { closed = fcntl(1, F_GETFD) == -1 && errno == EBADF; }

int rg_stdout_closed(void) { return closed; }
#else
int rg_stdout_closed(void) { return 0; }
#endif
