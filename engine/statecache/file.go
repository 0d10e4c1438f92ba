package statecache

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"path/filepath"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// A file of a checkpoint, all numbers little-endian:
//
//	magic      8 bytes
//	identity  32 bytes, SHA-256 of the options' Identity, the format and the size of a state
//	space     32 bytes, SHA-256 of the namespace's name
//	tokens     4 bytes, then pending (signed), kind, bytes of the sampler, elements of the state: 4 bytes each
//	ids        4 bytes each
//	sampler
//	checksum   4 bytes, CRC-32C of all before
//	state      4 bytes each, float32
//	checksum   4 bytes, CRC-32C of all before
//
// The name of the file has the first bytes of two digests: of the identity, and of space and ids. So each checkpoint
// has one name.
const (
	magic      = "rwkvckp1"
	fixedBytes = len(magic) + 2*sha256.Size + 5*4
	sumBytes   = 4
	ending     = ".checkpoint"

	maxState   = 1 << 30 // elements
	maxTokens  = 1 << 24
	maxSampler = 1 << 24 // bytes
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// format reads and writes the files of one identity in a folder.
type format struct {
	dir      string
	identity [sha256.Size]byte
	size     int // elements of a state
}

// fileBytes returns the size of a file. A checkpoint takes as much of the budget of host memory.
func (f *format) fileBytes(tokens, sampler int) int64 {
	return int64(fixedBytes) + 4*int64(tokens) + int64(sampler) + 2*sumBytes + 4*int64(f.size)
}

// identityOf digests the format, the size of a state and the identity that the caller gave.
func identityOf(o Options) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s", magic, o.Size, o.Identity))
}

// fileName returns the name of a checkpoint's file.
func (f *format) fileName(space spaceKey, ids []int) string {
	h := sha256.New()
	h.Write(space[:])
	var b []byte
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	h.Write(b)
	return fmt.Sprintf("%s%x%s", f.prefix(), h.Sum(nil)[:16], ending)
}

// prefix returns the beginning of the names of all files of this identity.
func (f *format) prefix() string { return fmt.Sprintf("%x-", f.identity[:8]) }

// ours reports whether name is a name of a file of this identity.
func (f *format) ours(name string) bool {
	digest, ok := strings.CutPrefix(name, f.prefix())
	digest, ended := strings.CutSuffix(digest, ending)
	return ok && ended && len(digest) == 32 && strings.Trim(digest, "0123456789abcdef") == ""
}

// header is the part of a file before the state.
type header struct {
	space spaceKey
	ids   []int
	meta  Meta
}

// appendHeader appends a header and its checksum to b, which is empty.
func (f *format) appendHeader(b []byte, h header) []byte {
	b = append(b, magic...)
	b = append(b, f.identity[:]...)
	b = append(b, h.space[:]...)
	for _, n := range []int{len(h.ids), h.meta.Pending, int(h.meta.Kind), len(h.meta.Sampler), f.size} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	for _, id := range h.ids {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	b = append(b, h.meta.Sampler...)
	return appendSum(b)
}

func appendSum(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// appendState appends a state and the checksum of all of b.
func appendState(b []byte, state []float32) []byte {
	for _, v := range state {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return appendSum(b)
}

// errBroken says that a file does not hold the checkpoint of its name.
var errBroken = errors.New("not a checkpoint of this cache")

// unread returns the error for a file that could not be read. A folder or a file of another size is no checkpoint. Any
// other error may pass, as that too many files are open, and tells nothing of the file.
func unread(err error) error {
	if errors.Is(err, files.ErrNotRegular) || errors.Is(err, files.ErrTooLarge) {
		return errBroken
	}
	return err
}

// parseHeader reads the header at the start of data and returns its length too. With an error, a length that is not 0
// is that of a header whose checksum is wrong or beyond data.
func (f *format) parseHeader(data []byte) (header, int, error) {
	var h header
	if len(data) < fixedBytes || string(data[:len(magic)]) != magic {
		return h, 0, errBroken
	}
	rest := data[len(magic):]
	if !bytes.Equal(rest[:sha256.Size], f.identity[:]) {
		return h, 0, errBroken
	}
	copy(h.space[:], rest[sha256.Size:])
	rest = rest[2*sha256.Size:]
	next := func() (n uint32) {
		n, rest = binary.LittleEndian.Uint32(rest), rest[4:]
		return n
	}
	tokens, pending, kind, sampler, size := next(), int32(next()), next(), next(), next()
	if tokens == 0 || tokens > maxTokens || pending < -1 || kind > uint32(Anchor) || sampler > maxSampler ||
		int(size) != f.size {
		return h, 0, errBroken
	}
	n := fixedBytes + 4*int(tokens) + int(sampler)
	if len(data) < n+sumBytes || crc32.Checksum(data[:n], castagnoli) != binary.LittleEndian.Uint32(data[n:]) {
		return h, n + sumBytes, errBroken
	}
	h.ids = make([]int, tokens)
	for i := range h.ids {
		h.ids[i] = int(next())
	}
	h.meta = Meta{Kind(kind), int(pending), bytes.Clone(rest[:sampler])}
	return h, n + sumBytes, nil
}

// readHeader reads the header of a file and compares it with the name and the size of the file. The error is errBroken
// if the file is no checkpoint.
func (f *format) readHeader(name string) (h header, size int64, err error) {
	path := filepath.Join(f.dir, name)
	data, size, err := files.ReadStart(path, int64(fixedBytes))
	if err != nil {
		return h, 0, unread(err)
	}
	if _, n, err := f.parseHeader(data); n > 0 && err != nil { // the ids are missing yet
		if data, size, err = files.ReadStart(path, int64(n)); err != nil {
			return h, 0, unread(err)
		}
	}
	if h, _, err = f.parseHeader(data); err != nil {
		return h, 0, err
	}
	if size != f.fileBytes(len(h.ids), len(h.meta.Sampler)) || name != f.fileName(h.space, h.ids) {
		return h, 0, errBroken
	}
	return h, size, nil
}

// readState reads the state of the checkpoint ids from its file. The error is errBroken if the file does not hold it.
func (f *format) readState(name string, ids []int, sampler int, state []float32) error {
	most := f.fileBytes(len(ids), sampler)
	data, err := files.ReadRegular(filepath.Join(f.dir, name), most)
	if err != nil {
		return unread(err)
	}
	h, n, err := f.parseHeader(data)
	if err != nil {
		return err
	}
	end := len(data) - sumBytes
	if int64(len(data)) != most || name != f.fileName(h.space, h.ids) ||
		crc32.Checksum(data[:end], castagnoli) != binary.LittleEndian.Uint32(data[end:]) {
		return errBroken
	}
	for i := range state {
		state[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[n+4*i:]))
	}
	return nil
}
