package files

import (
	"path/filepath"
)

// Claim tells other processes that who, a name of digits, works on the file path, until release or the end of this
// process. It locks a file beside path. If the process is killed, the system takes the lock away, and the file is
// removed like an unfinished file of Replace.
func Claim(path, who string) (release func(), err error) {
	name := claimName(path, who)
	f, err := createNew(name)
	if err != nil {
		return nil, err
	}
	lock(f)
	begun(name)
	return func() {
		_ = finish(name, "") // which removes it
		_ = f.Close()        // nothing was written
	}, nil
}

// Claimed reports whether who works on the file path. On systems without such locks it is false.
func Claimed(path, who string) bool { return locked(claimName(path, who)) }

func claimName(path, who string) string {
	dir, base := filepath.Split(path)
	return filepath.Join(dir, "."+base+"."+filepath.Base(who)+partEnding)
}
