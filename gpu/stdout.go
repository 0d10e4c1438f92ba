package gpu

// #include "shim.h"
import "C"

// StdoutClosed tells whether the process was started with standard output closed, which only C can see: writes to it
// then go to the null device without an error. It is here since no other package has C.
func StdoutClosed() bool { return C.rg_stdout_closed() != 0 }
