package weights

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// maxEntries bounds the directory of a zip file: torch.save writes one entry per storage and a handful more.
const maxEntries = 1 << 16

// zipEntry is one line of a zip file's directory.
type zipEntry struct {
	name   []byte // aliasing the file
	method uint16
	flags  uint16
	size   uint64 // bytes stored
	full   uint64 // bytes after decompression
	at     uint64 // of the local header
}

// zipFile is a zip file whose entries are read where they lie. It refuses compression, so that no entry is larger than
// what the file holds.
type zipFile struct {
	data    []byte
	end     uint64 // of the entries: where the directory begins
	entries map[string]*zipEntry
	order   []*zipEntry // as in the directory
	used    []zipRange  // of the entries read so far
}

// readZip reads the directory at the end of a zip file.
func readZip(data []byte) (*zipFile, error) {
	at, size, count, err := zipDirectory(data)
	if err != nil {
		return nil, err
	}
	z := &zipFile{data: data, end: at, entries: map[string]*zipEntry{}}
	rest := data[at : at+size]
	for len(rest) > 0 {
		e, n, err := readZipEntry(rest)
		if err != nil {
			return nil, err
		}
		rest = rest[n:]
		name := string(e.name)
		if z.entries[name] != nil {
			return nil, &Error{Field: "zip directory", Want: "every entry once", Got: fmt.Sprintf("%s twice", clip(name))}
		}
		if uint64(len(z.order)) == count {
			return nil, &Error{Field: "zip directory", Want: fmt.Sprintf("%d entries", count), Got: "more"}
		}
		z.entries[name] = e
		z.order = append(z.order, e)
	}
	if uint64(len(z.order)) != count {
		return nil, &Error{Field: "zip directory", Want: fmt.Sprintf("%d entries", count), Got: fmt.Sprint(len(z.order))}
	}
	return z, nil
}

// zipDirectory finds the directory by the record at the end of the file, and checks its place.
func zipDirectory(data []byte) (at, size, count uint64, err error) {
	const record = 22
	tail := max(0, len(data)-record-0xffff)
	i := bytes.LastIndex(data[tail:], []byte("PK\x05\x06"))
	if i < 0 || len(data)-tail-i < record {
		return 0, 0, 0, zipError("one at the end of the file", "none (truncated file?)")
	}
	i += tail
	end := data[i:]
	if comment := int(binary.LittleEndian.Uint16(end[20:])); len(end) != record+comment {
		return 0, 0, 0, &Error{Field: "size", Want: fmt.Sprintf("%d bytes after the zip directory", comment), Got: fmt.Sprint(len(end) - record)}
	}
	count = uint64(binary.LittleEndian.Uint16(end[10:]))
	size = uint64(binary.LittleEndian.Uint32(end[12:]))
	at = uint64(binary.LittleEndian.Uint32(end[16:]))
	before := uint64(i) // where the directory must end
	if i >= 20 && bytes.HasPrefix(data[i-20:], []byte("PK\x06\x07")) {
		wide, err := zip64Directory(data[:i])
		if err != nil {
			return 0, 0, 0, err
		}
		if count != 0xffff && count != wide.count || size != 0xffffffff && size != wide.size || at != 0xffffffff && at != wide.at {
			return 0, 0, 0, zipError("the same numbers in its 32-bit and 64-bit records", "others")
		}
		before, at, size, count = wide.before, wide.at, wide.size, wide.count
	}
	if size > before || at != before-size {
		return 0, 0, 0, zipError(fmt.Sprintf("one that ends at byte %d", before), fmt.Sprintf("%d bytes at %d", size, at))
	}
	if count > maxEntries {
		return 0, 0, 0, zipError(fmt.Sprintf("at most %d entries", maxEntries), fmt.Sprint(count))
	}
	return at, size, count, nil
}

func zipError(want, got string) error { return &Error{Field: "zip directory", Want: want, Got: got} }

type zip64Record struct{ at, size, count, before uint64 }

// zip64Directory reads the 64-bit record that the locator at the end of data points to.
func zip64Directory(data []byte) (r zip64Record, err error) {
	const record, locator = 56, 20
	r.before = binary.LittleEndian.Uint64(data[len(data)-locator+8:])
	room := uint64(len(data) - locator)
	if r.before > room || room-r.before < record || !bytes.HasPrefix(data[r.before:], []byte("PK\x06\x06")) {
		return r, zipError(fmt.Sprintf("a 64-bit record within the %d bytes before it", room), fmt.Sprintf("none at byte %d", r.before))
	}
	b := data[r.before:]
	r.count, r.size, r.at = binary.LittleEndian.Uint64(b[32:]), binary.LittleEndian.Uint64(b[40:]), binary.LittleEndian.Uint64(b[48:])
	return r, nil
}

// readZipEntry reads the first line of a directory and returns its length.
func readZipEntry(b []byte) (*zipEntry, int, error) {
	const line = 46
	if len(b) < line || !bytes.HasPrefix(b, []byte("PK\x01\x02")) {
		return nil, 0, zipError("an entry", fmt.Sprintf("% x", b[:min(len(b), 4)]))
	}
	le := binary.LittleEndian
	e := &zipEntry{
		flags: le.Uint16(b[8:]), method: le.Uint16(b[10:]),
		size: uint64(le.Uint32(b[20:])), full: uint64(le.Uint32(b[24:])), at: uint64(le.Uint32(b[42:])),
	}
	name, extra, comment := int(le.Uint16(b[28:])), int(le.Uint16(b[30:])), int(le.Uint16(b[32:]))
	n := line + name + extra + comment
	if n > len(b) {
		return nil, 0, zipError(fmt.Sprintf("an entry of %d bytes", n), fmt.Sprintf("%d", len(b)))
	}
	if name > maxName || name == 0 {
		return nil, 0, zipError(fmt.Sprintf("names of 1 to %d bytes", maxName), fmt.Sprintf("%d", name))
	}
	e.name = b[line : line+name]
	if err := e.widen(b[line+name : line+name+extra]); err != nil {
		return nil, 0, err
	}
	return e, n, nil
}

// widen replaces the numbers that do not fit 32 bits by those of the 64-bit extra field.
func (e *zipEntry) widen(extra []byte) error {
	const saturated = 0xffffffff
	for len(extra) >= 4 {
		id, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		if n > len(extra)-4 {
			return zipError(fmt.Sprintf("extra fields within the entry %s", clip(string(e.name))), "longer ones")
		}
		field := extra[4 : 4+n]
		extra = extra[4+n:]
		if id != 1 {
			continue
		}
		for _, v := range []*uint64{&e.full, &e.size, &e.at} {
			if *v == saturated && len(field) >= 8 {
				*v = binary.LittleEndian.Uint64(field)
				field = field[8:]
			}
		}
		break
	}
	return nil
}

// read returns the bytes of e, which lie in the file.
func (z *zipFile) read(e *zipEntry) ([]byte, error) {
	fail := func(want, got string) error {
		return &Error{Field: "zip entry " + string(e.name), Want: want, Got: got}
	}
	const header, encrypted = 30, 1
	le := binary.LittleEndian
	if e.flags&encrypted != 0 {
		return nil, fail("no encryption", "an encrypted entry")
	}
	if e.method != 0 {
		return nil, fail("a stored entry (torch.save does not compress; zip -0 undoes it)", fmt.Sprintf("compression method %d", e.method))
	}
	if e.size != e.full {
		return nil, fail(fmt.Sprintf("%d bytes stored", e.full), fmt.Sprint(e.size))
	}
	if e.at > z.end || z.end-e.at < header || !bytes.HasPrefix(z.data[e.at:], []byte("PK\x03\x04")) {
		return nil, fail(fmt.Sprintf("a header at byte %d", e.at), "none")
	}
	b := z.data[e.at:z.end]
	name, extra := uint64(le.Uint16(b[26:])), uint64(le.Uint16(b[28:]))
	room := uint64(len(b))
	if room < header+name+extra || room-header-name-extra < e.size {
		return nil, fail(fmt.Sprintf("at most the %d bytes before the directory", room), fmt.Sprintf("%d", e.size))
	}
	if !bytes.Equal(b[header:header+name], e.name) || le.Uint16(b[8:]) != e.method {
		return nil, fail("the same name and method in its header", "others")
	}
	from := header + name + extra
	z.used = append(z.used, zipRange{e, e.at, e.at + from + e.size})
	return b[from : from+e.size : from+e.size], nil
}

// zipRange is what an entry occupies, with its header.
type zipRange struct {
	entry    *zipEntry
	from, to uint64
}

// checkUsed wants the entries that were read to lie apart.
func (z *zipFile) checkUsed() error {
	slices.SortFunc(z.used, func(a, b zipRange) int { return cmp.Compare(a.from, b.from) })
	for i := 1; i < len(z.used); i++ {
		if a, b := z.used[i-1], z.used[i]; b.from < a.to {
			return &Error{Field: "zip entry " + string(b.entry.name), Want: fmt.Sprintf("a begin from byte %d on, where %s ends", a.to, clip(string(a.entry.name))), Got: fmt.Sprintf("%d (they overlap)", b.from)}
		}
	}
	return nil
}
