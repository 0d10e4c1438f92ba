package folder

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

	// MaxState is the most elements of a state.
	MaxState = 1 << 30

	maxTokens  = 1 << 24
	maxSampler = 1 << 24 // bytes
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Digest stands for the name of a namespace.
type Digest = [sha256.Size]byte

// Header is what a file tells of its state.
type Header struct {
	Space   Digest
	IDs     []int  // at least one, each at least 0 and below 2^32
	Kind    uint8  // of the caller's
	Pending int    // at least -1
	Sampler []byte // of the caller's
}

// Folder is where the files of one identity lie. Its methods may be called by any goroutine.
type Folder struct {
	dir      string
	identity Digest
	size     int // elements of a state
}

// New returns the folder dir as the place for states of so many elements and of one identity. It touches no file.
func New(dir, identity string, size int) *Folder {
	return &Folder{dir, sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s", magic, size, identity)), size}
}

// Bytes returns the size of a file whose state has seen so many tokens, with so many bytes of a sampler.
func (f *Folder) Bytes(tokens, sampler int) int64 {
	return int64(fixedBytes) + 4*int64(tokens) + int64(sampler) + 2*sumBytes + 4*int64(f.size)
}

// Name returns the name of a checkpoint's file.
func (f *Folder) Name(space Digest, ids []int) string {
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
func (f *Folder) prefix() string { return fmt.Sprintf("%x-", f.identity[:8]) }

// ours reports whether name is a name of a file of this identity.
func (f *Folder) ours(name string) bool {
	digest, ok := strings.CutPrefix(name, f.prefix())
	digest, ended := strings.CutSuffix(digest, ending)
	return ok && ended && len(digest) == 32 && strings.Trim(digest, "0123456789abcdef") == ""
}

// appendHeader appends a header and its checksum to b, which is empty.
func (f *Folder) appendHeader(b []byte, h Header) []byte {
	b = append(b, magic...)
	b = append(b, f.identity[:]...)
	b = append(b, h.Space[:]...)
	for _, n := range []int{len(h.IDs), h.Pending, int(h.Kind), len(h.Sampler), f.size} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	for _, id := range h.IDs {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	b = append(b, h.Sampler...)
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

// ErrBroken says that a file does not hold the checkpoint of its name. It is to be tested with errors.Is.
var ErrBroken = errors.New("not a checkpoint of this cache")

// unread returns the error for a file that could not be read. A folder or a file of another size is no checkpoint. Any
// other error may pass, as that too many files are open, and tells nothing of the file.
func unread(err error) error {
	if errors.Is(err, files.ErrNotRegular) || errors.Is(err, files.ErrTooLarge) {
		return ErrBroken
	}
	return err
}

// parseHeader reads the header at the start of data and returns its length too. With an error, a length that is not 0
// is that of a header whose checksum is wrong or beyond data.
func (f *Folder) parseHeader(data []byte) (Header, int, error) {
	var h Header
	if len(data) < fixedBytes || string(data[:len(magic)]) != magic {
		return h, 0, ErrBroken
	}
	rest := data[len(magic):]
	if !bytes.Equal(rest[:sha256.Size], f.identity[:]) {
		return h, 0, ErrBroken
	}
	copy(h.Space[:], rest[sha256.Size:])
	rest = rest[2*sha256.Size:]
	next := func() (n uint32) {
		n, rest = binary.LittleEndian.Uint32(rest), rest[4:]
		return n
	}
	tokens, pending, kind, sampler, size := next(), int32(next()), next(), next(), next()
	if tokens == 0 || tokens > maxTokens || pending < -1 || kind > math.MaxUint8 || sampler > maxSampler ||
		int(size) != f.size {
		return h, 0, ErrBroken
	}
	n := fixedBytes + 4*int(tokens) + int(sampler)
	if len(data) < n+sumBytes || crc32.Checksum(data[:n], castagnoli) != binary.LittleEndian.Uint32(data[n:]) {
		return h, n + sumBytes, ErrBroken
	}
	h.IDs = make([]int, tokens)
	for i := range h.IDs {
		h.IDs[i] = int(next())
	}
	h.Kind, h.Pending, h.Sampler = uint8(kind), int(pending), bytes.Clone(rest[:sampler])
	return h, n + sumBytes, nil
}

// readHeader reads the header of a file and compares it with the name and the size of the file. The error is ErrBroken
// if the file is no checkpoint.
func (f *Folder) readHeader(name string) (h Header, size int64, err error) {
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
	if size != f.Bytes(len(h.IDs), len(h.Sampler)) || name != f.Name(h.Space, h.IDs) {
		return h, 0, ErrBroken
	}
	return h, size, nil
}

// ReadState reads the state of the checkpoint ids from its file. The error matches ErrBroken if the file does not hold
// it, and os.ErrNotExist if there is none. What else the header tells may have changed: another process may have
// written the file anew.
func (f *Folder) ReadState(name string, ids []int, state []float32) error {
	data, err := files.ReadRegular(filepath.Join(f.dir, name), f.Bytes(len(ids), maxSampler))
	if err != nil {
		return unread(err)
	}
	h, n, err := f.parseHeader(data)
	if err != nil {
		return err
	}
	end := len(data) - sumBytes
	if int64(len(data)) != f.Bytes(len(h.IDs), len(h.Sampler)) || name != f.Name(h.Space, h.IDs) ||
		crc32.Checksum(data[:end], castagnoli) != binary.LittleEndian.Uint32(data[end:]) {
		return ErrBroken
	}
	for i := range state {
		state[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[n+4*i:]))
	}
	return nil
}
