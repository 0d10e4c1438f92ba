package gpu

// #include "shim.h"
import "C"

// StdoutClosed reports whether the process was started with standard output closed. Writes to it then go to the null
// device without an error, and only C can see that. It is here since no other package has C.
func StdoutClosed() bool { return C.rg_stdout_closed() != 0 }
