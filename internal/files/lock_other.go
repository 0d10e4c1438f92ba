//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package files

import "os"

func lock(*os.File) {}

// removeUnlocked leaves the file: there is no telling whether it is in use.
func removeUnlocked(string) {}
