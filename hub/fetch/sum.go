package fetch

import (
	"context"
	"crypto/sha1" //nolint:gosec // git's name of a file, which the hub tells
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
)

// Sum is the hash of a file, in hexadecimal digits. The zero value is that of a file whose hash nobody tells.
type Sum struct {
	SHA256 string
	Git    string // SHA-1 of git's blob: of a header with the size, and the content
}

// String names the kind of the hash and the hash, "" if there is none.
func (s Sum) String() string {
	switch {
	case s.SHA256 != "":
		return "sha256 " + s.SHA256
	case s.Git != "":
		return "git " + s.Git
	}
	return ""
}

// IsHex reports whether a text is n hexadecimal digits in lower case.
func IsHex(text string, n int) bool {
	b, err := hex.DecodeString(text)
	return err == nil && len(text) == n && hex.EncodeToString(b) == text
}

// matches reports whether the content of a file of size bytes has the hash, and what hash it has.
func (s Sum) matches(ctx context.Context, r io.ReaderAt, size int64, progress func(done int64)) (same bool, got string, err error) {
	var h hash.Hash
	want := s.SHA256
	switch {
	case s.SHA256 != "":
		h = sha256.New()
	case s.Git != "":
		h, want = sha1.New(), s.Git //nolint:gosec // git's name of a file
		fmt.Fprintf(h, "blob %d\x00", size)
	default:
		return true, "", nil
	}
	buf := make([]byte, 1<<20)
	for at := int64(0); at < size; {
		n, err := r.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if n == 0 && err != nil {
			return false, "", err
		}
		h.Write(buf[:n])
		at += int64(n)
		progress(at)
		if ctx.Err() != nil {
			return false, "", context.Cause(ctx)
		}
	}
	got = hex.EncodeToString(h.Sum(nil))
	return got == want, got, nil
}
