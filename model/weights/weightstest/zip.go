package weightstest

import "encoding/binary"

// ZipEntry is a file in a zip file.
type ZipEntry struct {
	Name   string
	Data   []byte
	Method uint16 // 0 for stored; Data is written as it is
	Full   int    // bytes after decompression; 0 for len(Data)
	Wide   bool   // the directory holds sizes and place in 64 bits, as it must beyond 4 GiB
}

// Zip returns a zip file laid out as torch.save does: sizes only in the directory, data aligned to 64 bytes by an extra
// field, and if wide the 64-bit records.
func Zip(wide bool, entries ...ZipEntry) []byte {
	const flags = 0x0808 // sizes follow the data, names are UTF-8
	le := binary.LittleEndian
	var out, dir []byte
	for _, e := range entries {
		at, full := len(out), e.Full
		if full == 0 {
			full = len(e.Data)
		}
		pad := -(at + 30 + len(e.Name) + 4) & 63
		out = append(out, "PK\x03\x04\x00\x00"...)
		out = le.AppendUint16(out, flags)
		out = le.AppendUint16(out, e.Method)
		out = append(out, make([]byte, 16)...)
		out = le.AppendUint16(out, uint16(len(e.Name)))
		out = le.AppendUint16(out, uint16(4+pad))
		out = append(out, e.Name...)
		out = le.AppendUint16(append(out, "FB"...), uint16(pad))
		out = append(out, make([]byte, pad)...)
		out = append(out, e.Data...)
		out = append(out, "PK\x07\x08"...)
		out = le.AppendUint32(out, 0) // checksum, which readers of mapped files do not compute
		out = le.AppendUint32(out, uint32(len(e.Data)))
		out = le.AppendUint32(out, uint32(full))

		dir = append(dir, e.line(flags, full, at)...)
	}
	at := len(out)
	out = append(out, dir...)
	if wide {
		out = zip64(out, len(entries), len(dir), at)
	}
	out = append(out, "PK\x05\x06\x00\x00\x00\x00"...)
	out = le.AppendUint16(out, uint16(len(entries)))
	out = le.AppendUint16(out, uint16(len(entries)))
	out = le.AppendUint32(out, uint32(len(dir)))
	out = le.AppendUint32(out, uint32(at))
	return append(out, 0, 0)
}

// zip64 appends the 64-bit end record and its locator.
func zip64(out []byte, entries, size, at int) []byte {
	le := binary.LittleEndian
	record := len(out)
	out = append(out, "PK\x06\x06"...)
	out = le.AppendUint64(out, 44)
	out = append(out, 0x1e, 3, 0x2d, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	for _, n := range []int{entries, entries, size, at} {
		out = le.AppendUint64(out, uint64(n))
	}
	out = append(out, "PK\x06\x07\x00\x00\x00\x00"...)
	out = le.AppendUint64(out, uint64(record))
	return append(out, 1, 0, 0, 0)
}

// line returns the entry's line in the directory.
func (e ZipEntry) line(flags uint16, full, at int) []byte {
	le := binary.LittleEndian
	var extra []byte
	sizes := []uint32{uint32(len(e.Data)), uint32(full), uint32(at)}
	if e.Wide {
		sizes = []uint32{0xffffffff, 0xffffffff, 0xffffffff}
		extra = append(extra, 'x', 'x', 2, 0, 0, 0) // a field of another kind comes first
		extra = append(extra, 1, 0, 24, 0)
		for _, n := range []int{full, len(e.Data), at} {
			extra = le.AppendUint64(extra, uint64(n))
		}
	}
	line := []byte("PK\x01\x02\x00\x00\x00\x00")
	line = le.AppendUint16(line, flags)
	line = le.AppendUint16(line, e.Method)
	line = append(line, make([]byte, 8)...)
	line = le.AppendUint32(line, sizes[0])
	line = le.AppendUint32(line, sizes[1])
	line = le.AppendUint16(line, uint16(len(e.Name)))
	line = le.AppendUint16(line, uint16(len(extra)))
	line = append(line, make([]byte, 10)...)
	line = le.AppendUint32(line, sizes[2])
	return append(append(line, e.Name...), extra...)
}
