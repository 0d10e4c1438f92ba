package weights_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// soundPickle is a state dict of one tensor.
var soundPickle = weightstest.Pickle(2, single(matrix))

// zipped returns a zip file of the entries, as brokenZip varies them.
func zipped(wide bool, more ...weightstest.ZipEntry) []byte {
	return weightstest.Zip(wide, append([]weightstest.ZipEntry{{Name: "m/data.pkl", Data: soundPickle}}, more...)...)
}

var numbers = weightstest.ZipEntry{Name: "m/data/0", Data: make([]byte, 8)}

// wide is numbers with its sizes and place in a 64-bit extra field.
var wide = weightstest.ZipEntry{Name: "m/data/0", Data: make([]byte, 8), Wide: true}

// widened is a sound zip file with the 64-bit field at an offset after its id overwritten.
func widened(name string, offset int, bytes []byte, fragment string) broken {
	data := zipped(true, wide)
	copy(data[strings.LastIndex(string(data), "\x01\x00\x18\x00")+offset:], bytes)
	return broken{name, data, fragment}
}

// patched is a sound zip file with bytes overwritten at an offset from the last place of a mark.
func patched(name, mark string, offset int, bytes []byte, fragment string) broken {
	data := zipped(true, numbers)
	copy(data[strings.LastIndex(string(data), mark)+offset:], bytes)
	return broken{name, data, fragment}
}

func le16(n uint16) []byte { return binary.LittleEndian.AppendUint16(nil, n) }
func le32(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
func le64(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }

const (
	localHeader = "PK\x03\x04"
	entryLine   = "PK\x01\x02"
	wideRecord  = "PK\x06\x06"
	locator     = "PK\x06\x07"
	endRecord   = "PK\x05\x06"
)

// nested is a zip file in which the entry data/1 lies within the bytes of data/0.
func nested() []byte {
	inner := weightstest.Zip(false, weightstest.ZipEntry{Name: "m/data/1", Data: make([]byte, 8)})
	inner, _, _ = bytes.Cut(inner, []byte("PK\x07\x08"))
	x := weightstest.TorchTensor(weightstest.TorchStorage(tensor.F16, "0", len(inner)/2), 0, []int{1}, []int{1})
	y := weightstest.TorchTensor(weightstest.TorchStorage(tensor.F16, "1", 4), 0, []int{1}, []int{1})
	data := weightstest.Zip(false,
		weightstest.ZipEntry{Name: "m/data.pkl", Data: weightstest.Pickle(2, weightstest.Dict{{"x", x}, {"y", y}})},
		weightstest.ZipEntry{Name: "m/data/0", Data: inner},
		weightstest.ZipEntry{Name: "m/data/1", Data: make([]byte, 8)})
	copy(data[bytes.LastIndex(data, []byte(entryLine))+42:], le32(uint32(bytes.Index(data, inner))))
	return data
}

var brokenZips = []broken{
	{"cut by a byte", zipped(true, numbers)[:len(zipped(true, numbers))-1], "zip directory: want one at the end of the file, got none (truncated file?)"},
	{"a byte too many", append(zipped(true, numbers), 0), "size: want 0 bytes after the zip directory, got 1"},
	{"an empty zip file", []byte(endRecord + strings.Repeat("\x00", 18)), "unknown format"},
	{"only a header", zipped(true, numbers)[:60], "zip directory: want one at the end"},
	patched("comment past the end", endRecord, 20, le16(9), "size: want 9 bytes after the zip directory, got 0"),
	patched("64-bit record past the end", locator, 8, le64(1<<40), "zip directory: want a 64-bit record within"),
	patched("64-bit record at 2^64-1", locator, 8, le64(1<<64-1), "zip directory: want a 64-bit record within"),
	patched("64-bit record elsewhere", locator, 8, le64(3), "got none at byte 3"),
	patched("two sizes", endRecord, 12, le32(7), "zip directory: want the same numbers in its 32-bit and 64-bit records"),
	patched("two counts", endRecord, 10, le16(3), "zip directory: want the same numbers in its 32-bit and 64-bit records"),
	patched("two places", wideRecord, 48, le64(7), "zip directory: want the same numbers in its 32-bit and 64-bit records"),
	{"more entries than lines", func() []byte {
		data := zipped(false, numbers)
		copy(data[bytes.LastIndex(data, []byte(endRecord))+10:], le16(3))
		return data
	}(), "zip directory: want 3 entries, got 2"},
	{"fewer entries than lines", func() []byte {
		data := zipped(false, numbers)
		copy(data[bytes.LastIndex(data, []byte(endRecord))+10:], le16(1))
		return data
	}(), "zip directory: want 1 entries, got more"},
	{"directory shifted", func() []byte {
		data := zipped(false, numbers)
		at := bytes.LastIndex(data, []byte(endRecord)) + 16
		copy(data[at:], le32(binary.LittleEndian.Uint32(data[at:])-1))
		return data
	}(), "zip directory: want one that ends at byte"},
	{"directory of 4 GiB", func() []byte {
		data := zipped(false, numbers)
		copy(data[bytes.LastIndex(data, []byte(endRecord))+12:], le32(0xfffffffe))
		return data
	}(), "zip directory: want one that ends at byte"},
	patched("line without its mark", entryLine, 0, []byte("XX"), "zip directory: want an entry, got 58 58 01 02"),
	patched("name of 65535 bytes", entryLine, 28, le16(0xffff), "zip directory: want an entry of 65581 bytes"),
	patched("no name", entryLine, 28, le16(0), "zip directory: want names of 1 to 256 bytes, got 0"),
	patched("comment of 65535 bytes", entryLine, 32, le16(0xffff), "zip directory: want an entry of"),
	{"long name", zipped(true, weightstest.ZipEntry{Name: strings.Repeat("n", 257)}), "zip directory: want names of 1 to 256 bytes, got 257"},
	{"name twice", zipped(true, numbers, numbers), "zip directory: want every entry once, got m/data/0 twice"},
	patched("encrypted", entryLine, 8, le16(1), "zip entry m/data/0: want no encryption"),
	{"compressed storage", zipped(true, weightstest.ZipEntry{Name: "m/data/0", Data: make([]byte, 8), Method: 8}), "zip entry m/data/0: want a stored entry (torch.save does not compress; zip -0 undoes it), got compression method 8"},
	{"zip bomb", zipped(true, weightstest.ZipEntry{Name: "m/data/0", Data: make([]byte, 8), Method: 8, Full: 1<<32 - 2}), "zip entry m/data/0: want a stored entry"},
	{"compressed pickle", weightstest.Zip(true, weightstest.ZipEntry{Name: "m/data.pkl", Data: make([]byte, 8), Method: 8, Full: 1 << 30}), "zip entry m/data.pkl: want a stored entry"},
	{"two sizes of an entry", zipped(true, weightstest.ZipEntry{Name: "m/data/0", Data: make([]byte, 8), Full: 9}), "zip entry m/data/0: want 9 bytes stored, got 8"},
	patched("header past the end", entryLine, 42, le32(1<<31), "zip entry m/data/0: want a header at byte 2147483648, got none"),
	patched("header elsewhere", entryLine, 42, le32(5), "zip entry m/data/0: want a header at byte 5, got none"),
	patched("header of another entry", entryLine, 42, le32(0), "zip entry m/data/0: want the same name and method in its header, got others"),
	patched("header with another method", localHeader, 8, le16(8), "zip entry m/data/0: want the same name and method in its header"),
	patched("header with a long extra field", localHeader, 28, le16(0xffff), "zip entry m/data/0: want at most the"),
	patched("storage past the directory", entryLine, 20, append(le32(1<<20), le32(1<<20)...), "zip entry m/data/0: want at most the"),
	widened("64-bit field past its entry", 2, le16(99), "zip directory: want extra fields within the entry m/data/0, got longer ones"),
	widened("64-bit field too short", 2, le16(8), "zip entry m/data/0: want 8 bytes stored, got 4294967295"),
	widened("64-bit size of 2^64-1", 4, append(le64(1<<64-1), le64(1<<64-1)...), "zip entry m/data/0: want at most the"),
	widened("64-bit place of 2^64-1", 20, le64(1<<64-1), "zip entry m/data/0: want a header at byte 18446744073709551615, got none"),
	{"entries within one another", nested(), "zip entry m/data/1: want a begin from byte"},
	{"no pickle", weightstest.Zip(true, numbers), "zip directory: want an entry */data.pkl, as torch.save writes it, got 1 others, the first m/data/0"},
	{"pickle too deep", weightstest.Zip(true, weightstest.ZipEntry{Name: "a/b/data.pkl", Data: soundPickle}), "zip directory: want an entry */data.pkl"},
	{"two pickles", zipped(true, weightstest.ZipEntry{Name: "n/data.pkl", Data: soundPickle}), "zip directory: want one entry */data.pkl, got m/data.pkl and n/data.pkl"},
	{"big endian", zipped(true, numbers, weightstest.ZipEntry{Name: "m/byteorder", Data: []byte("big")}), `zip entry m/byteorder: want little, got "big"`},
	{"more than a pickle", weightstest.Zip(true, weightstest.ZipEntry{Name: "m/data.pkl", Data: append(bytes.Clone(soundPickle), 0)}, numbers), fmt.Sprintf("pickle: want %d bytes in data.pkl, got %d", len(soundPickle), len(soundPickle)+1)},
	{"no storage", zipped(true), "tensor a: storage: want an entry m/data/0, got none"},
	{"storage too small", zipped(true, weightstest.ZipEntry{Name: "m/data/0", Data: make([]byte, 6)}), "tensor a: storage 0: want 4 elements of 2 bytes, got 6 bytes"},
	{"storage too large", zipped(true, weightstest.ZipEntry{Name: "m/data/0", Data: make([]byte, 10)}), "tensor a: storage 0: want 4 elements of 2 bytes, got 10 bytes"},
	{"storage of half an element", zipped(true, weightstest.ZipEntry{Name: "m/data/0", Data: make([]byte, 9)}), "tensor a: storage 0: want 4 elements of 2 bytes, got 9 bytes"},
	{"storage viewed too often", weightstest.TorchZip(weightstest.Pickle(2, shared(20, 4096)), []weightstest.Storage{{Key: "0", Data: make([]byte, 8192)}}), "storage: want tensors of at most 4 times the file's"},
}

// parts are the pieces of a legacy file, as brokenLegacy varies them.
type parts struct {
	magic, protocol, system, value, keys any
	storages                             []byte
}

func soundParts() parts {
	return parts{
		magic:    weightstest.Long{0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19},
		protocol: 1001, system: weightstest.Dict{{"little_endian", true}}, value: single(matrix), keys: []any{"0"},
		storages: append(le64(4), make([]byte, 8)...),
	}
}

// legacyFile is a legacy file after a change.
func legacyFile(name string, change func(*parts), fragment string) broken {
	p := soundParts()
	change(&p)
	var out []byte
	for _, v := range []any{p.magic, p.protocol, p.system, p.value, p.keys} {
		out = append(out, weightstest.Pickle(2, v)...)
	}
	return broken{name, append(out, p.storages...), fragment}
}

var brokenLegacy = []broken{
	legacyFile("another magic", func(p *parts) { p.magic = weightstest.Long("0123456789") }, "format: want the magic number of torch.save in the first pickle, got an integer"),
	legacyFile("a pickle of something else", func(p *parts) { p.magic = single(1) }, "format: want the magic number of torch.save in the first pickle, got a dict"),
	legacyFile("magic as a string", func(p *parts) { p.magic = "l\xfc\x9cF\xf9 j\xa8P\x19" }, "format: want the magic number of torch.save in the first pickle, got a string"),
	legacyFile("protocol 1000", func(p *parts) { p.protocol = 1000 }, "protocol: want 1001, got 1000"),
	legacyFile("protocol as a string", func(p *parts) { p.protocol = "1001" }, "protocol: want 1001, got a string"),
	legacyFile("no type sizes", func(p *parts) { p.system = nil }, "system: want a dict of type sizes, got None"),
	legacyFile("keys in a tuple", func(p *parts) { p.keys = weightstest.Tuple{"0"} }, "storage keys: want a list, got a tuple of 1"),
	legacyFile("no keys", func(p *parts) { p.keys = []any{} }, "size: want"),
	legacyFile("no keys, no storages", func(p *parts) { p.keys, p.storages = []any{}, nil }, "tensor a: storage 0: want its key among the storage keys, got none"),
	legacyFile("number for a key", func(p *parts) { p.keys = []any{0} }, "storage keys: want keys of storages that the pickle names, got an integer"),
	legacyFile("unknown key", func(p *parts) { p.keys = []any{"1"} }, `storage keys: want keys of storages that the pickle names, got a string "1"`),
	legacyFile("key twice", func(p *parts) { p.keys, p.storages = []any{"0", "0"}, append(p.storages, p.storages...) }, "storage keys: want every key once, got 0 twice"),
	legacyFile("no length", func(p *parts) { p.storages = p.storages[:7] }, "storage 0: want 8 bytes of length, got 7 (truncated file?)"),
	legacyFile("nothing after the keys", func(p *parts) { p.storages = nil }, "storage 0: want 8 bytes of length, got 0 (truncated file?)"),
	legacyFile("a byte short", func(p *parts) { p.storages = p.storages[:15] }, "storage 0: want 4 elements of 2 bytes, got 7 bytes (truncated file?)"),
	legacyFile("a byte too many", func(p *parts) { p.storages = append(p.storages, 0) }, ", where the last storage ends, got"),
	legacyFile("length -1", func(p *parts) { copy(p.storages, le64(1<<64-1)) }, "storage 0: want 18446744073709551615 elements of 2 bytes, got 8 bytes"),
	legacyFile("length that wraps", func(p *parts) { copy(p.storages, le64(1<<63+4)) }, "storage 0: want 9223372036854775812 elements of 2 bytes"),
	legacyFile("another length", func(p *parts) { p.storages = append(le64(3), make([]byte, 6)...) }, "tensor a: storage 0: want 4 elements, got 3"),
	legacyFile("two kinds", func(p *parts) {
		p.value = weightstest.Dict{{"a", matrix}, {"b", weightstest.TorchTensor(weightstest.TorchStorage(tensor.F32, "0", 4), 0, []int{1}, []int{1})}}
	}, "storage 0: want one kind, got torch.HalfStorage and torch.FloatStorage"),
	legacyFile("keys that call", func(p *parts) { p.keys = weightstest.Global("os system") }, "got the name os.system"),
	legacyFile("magic that calls", func(p *parts) { p.magic = weightstest.Global("os system") }, "got the name os.system"),
	legacyFile("type sizes that call", func(p *parts) { p.system = weightstest.Global("os system") }, "got the name os.system"),
}

func TestTorchBrokenContainer(t *testing.T) {
	for _, sound := range [][]byte{zipped(true, numbers), zipped(true, wide), zipped(false, numbers), legacyFile("", func(*parts) {}, "").data} {
		if _, err := weights.Parse("sound", sound); err != nil {
			t.Fatal("the file that is varied is broken itself:", err)
		}
	}
	for kind, table := range map[string][]broken{"zip": brokenZips, "legacy": brokenLegacy} {
		for _, b := range table {
			t.Run(kind+"/"+b.name, func(t *testing.T) { b.check(t, 1) })
		}
	}
}

// A directory as long as can be costs little.
func TestTorchHugeZip(t *testing.T) {
	if testing.Short() {
		t.Skip("counts memory, and is slow under the race detector")
	}
	entries := make([]weightstest.ZipEntry, 1<<16+1)
	for i := range entries {
		entries[i].Name = fmt.Sprintf("m/data/%0200d", i)
	}
	data := weightstest.Zip(true, entries...)
	broken{"65537 entries", data, "at most 65536 entries, got 65537"}.checkZip(t, 1)
	data = weightstest.Zip(true, entries[:1<<16]...)
	broken{"65536 entries", data, "want an entry */data.pkl"}.checkZip(t, 60)
}

// checkZip is check for a file of too many entries for the 32-bit record, whose counts it saturates.
func (b broken) checkZip(t *testing.T, mostMiB uint64) {
	t.Helper()
	copy(b.data[len(b.data)-14:], "\xff\xff\xff\xff")
	b.check(t, mostMiB)
}

// A file cut anywhere is refused, in both containers.
func TestTorchTruncated(t *testing.T) {
	original := weightstest.RWKV7(small, tensor.F16, 1)
	for _, v := range []weightstest.Torch{{}, {Legacy: true}, {Legacy: true, Protocol: 4, Ordered: true, Shared: true}} {
		data := v.File(original)
		for cut := range len(data) {
			if cut > 2000 && cut < len(data)-500 && cut%13 != 0 {
				continue // one storage is like another
			}
			_, err := weights.Parse("cut.pth", data[:cut])
			if err == nil {
				t.Fatalf("%+v: a file cut at %d of %d opened", v, cut, len(data))
			}
			if cut%7 == 0 {
				wantError(t, err, "cut.pth: ")
			}
		}
	}
}
