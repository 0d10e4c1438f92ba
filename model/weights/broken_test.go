package weights_test

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// one and two are a sound file's tensors over 12 bytes; the broken headers below are variations on them.
const (
	one = `"a":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]}`
	two = `"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}`
)

// broken is a file that must not open, and what the error must say.
type broken struct {
	name     string
	data     []byte
	fragment string
}

// header returns a broken file with 12 bytes of data.
func header(name, text, fragment string) broken {
	return broken{name, weightstest.File(text, make([]byte, 12)), fragment}
}

// entry returns a broken file whose first tensor is described by text.
func entry(name, text, fragment string) broken {
	return header(name, `{"a":`+text+`,`+two+`}`, "tensor a: "+fragment)
}

// edited returns a sound file after one change.
func edited(name string, change func([]byte) []byte, fragment string) broken {
	return broken{name, change(sound()), fragment}
}

func sound() []byte { return weightstest.File("{"+one+","+two+"}", make([]byte, 12)) }

func length(n uint64) func([]byte) []byte {
	return func(b []byte) []byte { binary.LittleEndian.PutUint64(b, n); return b }
}

// intoData makes the header take the first byte of the data, where enough data is left.
func intoData(b []byte) []byte {
	length(uint64(len(b)-8-12) + 1)(b)
	return append(b, 0)
}

var brokenFraming = []broken{
	{"empty", nil, "got an empty file"},
	{"one byte", []byte{0}, "an unknown format that begins 00"},
	{"seven bytes", make([]byte, 7), "unknown format"},
	{"eight zero bytes", make([]byte, 8), "header: want '{', got the end of the header at byte 0"},
	{"noise", []byte("\xde\xad\xbe\xef\xde\xad\xbe\xef\xde\xad\xbe\xef"), "unknown format that begins de ad be ef"},
	edited("header longer than the file", length(1<<20), "header length: want at most the 124 bytes that follow it, got 1048576 (truncated file?)"),
	edited("header longer than 100 MB", length(100_000_001), "header length: want at most 100000000 bytes, got 100000001"),
	edited("header of 2^64-1 bytes", length(1<<64-1), "got 18446744073709551615"),
	edited("header of 2^63 bytes", length(1<<63), "header length: want at most 100000000 bytes"),
	edited("header one byte short", length(107), "tensor b: data_offsets: want ',' or ']', got the end of the header at byte 107"),
	edited("header of one byte", length(1), "header: want a string, got the end of the header at byte 1"),
	edited("header into the data", intoData, "only padding after the header's closing brace, got byte 0x00"),
	edited("header off by one byte", func(b []byte) []byte { b[8] = ' '; return b }, "header: want '{', got ' ' at byte 0"),
	edited("data one byte short", func(b []byte) []byte { return b[:len(b)-1] }, "tensor b: data_offsets: want an end within the 11 bytes of data, got 12"),
	edited("data one byte long", func(b []byte) []byte { return append(b, 0) }, "size: want 12 bytes of data, as the header says, got 13"),
	{"torch zip", append([]byte("PK\x03\x04\x00\x00\x08\x08\x00\x00"), make([]byte, 100)...), "zip directory: want one at the end of the file, got none"},
	{"zip of four bytes", []byte("PK\x03\x04"), "zip directory: want one at the end of the file, got none"},
	{"pickle", []byte("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"), "pickle: want 1 more bytes, got 0 (truncated file?) for STOP at byte 14"},
	{"GGUF whose count looks like a brace", []byte("GGUF\x03\x00\x00\x00{\x00\x00\x00"), "tensor count: want 8 bytes"},
	{"rwkv.cpp whose vocabulary looks like a brace", []byte("fmgg\x65\x00\x00\x00{\x00\x00\x00"), "header: want 24 bytes, got 12"},
	{"ggml", []byte("lmgg\x00\x00\x00\x00"), "this is a ggml file"},
	{"numpy", []byte("\x93NUMPY\x01\x00"), "NumPy"},
	{"gzip", []byte("\x1f\x8b\x08\x00\x00"), "gzip"},
	{"LFS pointer", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:00"), "format: this is a Git LFS pointer: the model itself was not downloaded"},
	{"web page", []byte("\n<!DOCTYPE html>\n<html>"), "format: this is a web page: the model itself was not downloaded"},
	{"JSON", []byte("{\n \"architectures\": []}"), "format: this is JSON text, not a model file"},
}

var brokenHeaders = []broken{
	header("an array", `["a"]`, "header: want '{', got '['"),
	header("no names, data left", `{}`, "size: want 0 bytes of data, as the header says, got 12"),
	header("unquoted name", `{a:1}`, "header: want a string, got 'a' at byte 1"),
	header("trailing comma", `{`+one+`,}`, "header: want a string, got '}'"),
	header("missing comma", `{`+one+two+`}`, "header: want ',' or '}', got '\"'"),
	header("missing colon", `{"a"{}}`, "header: want ':', got '{'"),
	header("second object", `{`+one+`,`+two+`}{}`, "only padding after the header's closing brace, got '{'"),
	header("NUL padding", "{"+one+","+two+"}\x00", "only padding after the header's closing brace, got byte 0x00"),
	header("unclosed", `{`+one, "header: want ',' or '}', got the end of the header"),
	header("unclosed string", `{"a`, "the closing quote of a string, got the end of the header"),
	header("bad escape", `{"\q":1}`, "want a JSON string, got a bad escape in the string at byte 1"),
	header("not UTF-8", "{\"\xff\xfe\":1}", "want UTF-8, got other bytes in the string at byte 1"),
	header("line break in a name", "{\"a\nb\":1}", "no control characters in a string, got byte 0x0a"),
	header("name twice", `{`+one+`,`+one+`}`, "tensor a: header: want one entry, got the name twice"),
	header("name twice, once escaped", `{`+one+`,"\u0061":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`, "tensor a: header: want one entry, got the name twice"),
	header("empty name", `{"":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}`, "not an empty string"),
	header("name of 257 bytes", `{"`+strings.Repeat("n", 257)+`":1}`, "strings of at most 256 bytes here, got a longer one at byte 1"),
	header("metadata twice", `{"__metadata__":{},"__metadata__":{},`+one+`,`+two+`}`, "tensor __metadata__: header: want one entry"),
	header("metadata key twice", `{"__metadata__":{"k":"1","k":"2"},`+one+`,`+two+`}`, `__metadata__: want every key once, got "k" twice`),
	header("metadata of numbers", `{"__metadata__":{"k":1}}`, "header: want a string, got '1'"),
	header("metadata null", `{"__metadata__":null}`, "header: want '{', got 'n'"),
	header("control characters in a name", `{"x\n\u001b[31m":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}`, `tensor x\n\x1b[31m: dtype`),
	header("deep objects", `{"a":`+strings.Repeat(`{"a":`, 100_000), `tensor a: header: want the fields dtype, shape, data_offsets, got "a"`),
	header("deep arrays", `{"a":{"shape":`+strings.Repeat("[", 100_000), "tensor a: shape: want a natural number, got '['"),
	header("overlap", `{`+one+`,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, "tensor b: data_offsets: want a begin at 8, where a ends, got 4 (they overlap)"),
	header("same bytes", `{`+one+`,"b":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}`, "tensor b: data_offsets: want a begin at 8, where a ends, got 0 (they overlap)"),
	header("hole", `{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},`+two+`}`, "tensor b: data_offsets: want a begin at 4, where a ends, got 8 (a hole between them)"),
	header("hole at the start", `{`+two+`}`, "tensor b: data_offsets: want a begin at 0, where the header ends, got 8"),
}

var brokenEntries = []broken{
	entry("not an object", `[1]`, "header: want '{', got '['"),
	entry("null", `null`, "header: want '{', got 'n'"),
	entry("empty", `{}`, "dtype: want this field, got none"),
	entry("no shape", `{"dtype":"F16","data_offsets":[0,8]}`, "shape: want this field, got none"),
	entry("no offsets", `{"dtype":"F16","shape":[2,2]}`, "data_offsets: want this field, got none"),
	entry("unknown field", `{"dtype":"F16","shape":[4],"data_offsets":[0,8],"stride":[1]}`, `header: want the fields dtype, shape, data_offsets, got "stride"`),
	entry("field twice", `{"dtype":"F16","shape":[4],"shape":[4],"data_offsets":[0,8]}`, "shape: want the field once"),
	entry("integers of another size", `{"dtype":"I64","shape":[1],"data_offsets":[0,4]}`, "data_offsets: want 8 bytes for I64[1], got 4"),
	entry("bools of another size", `{"dtype":"BOOL","shape":[4,3],"data_offsets":[0,8]}`, "data_offsets: want 12 bytes for BOOL[4 3], got 8"),
	entry("four-bit floats of another size", `{"dtype":"F4","shape":[3,3],"data_offsets":[0,8]}`, "data_offsets: want 5 bytes for F4[3 3], got 8"),
	entry("more doubles than there are", `{"dtype":"F64","shape":[9223372036854775807],"data_offsets":[0,8]}`, "shape: want at most the 12 bytes of data, got F64[9223372036854775807]"),
	header("nothing but integers", `{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"b":{"dtype":"I32","shape":[1],"data_offsets":[8,12]}}`, "tensor a: dtype: want one of F32, F16, BF16, got I64"),
	header("nothing but eight-bit floats", `{"a":{"dtype":"F8_E4M3","shape":[12],"data_offsets":[0,12]}}`, "tensor a: dtype: want one of F32, F16, BF16, got F8_E4M3"),
	entry("lower case", `{"dtype":"f16","shape":[4],"data_offsets":[0,8]}`, `dtype: want one of F32, F16, BF16, got "f16"`),
	entry("a number for a type", `{"dtype":16,"shape":[4],"data_offsets":[0,8]}`, "dtype: want a string, got '1'"),
	entry("a string for a shape", `{"dtype":"F16","shape":"4","data_offsets":[0,8]}`, "shape: want '[', got '\"'"),
	entry("negative", `{"dtype":"F16","shape":[-4],"data_offsets":[0,8]}`, "shape: want a natural number, not a negative one, got '-'"),
	entry("two negatives", `{"dtype":"F16","shape":[-2,-2],"data_offsets":[0,8]}`, "shape: want a natural number, not a negative one"),
	entry("fraction", `{"dtype":"F16","shape":[4.0],"data_offsets":[0,8]}`, "shape: want a natural number, not a fraction"),
	entry("exponent", `{"dtype":"F16","shape":[4e0],"data_offsets":[0,8]}`, "shape: want a natural number, not a fraction"),
	entry("leading zero", `{"dtype":"F16","shape":[04],"data_offsets":[0,8]}`, "shape: want no leading zero"),
	entry("2^63", `{"dtype":"F16","shape":[9223372036854775808],"data_offsets":[0,8]}`, "shape: want numbers below 2^63, got a larger one"),
	entry("2^62 elements", `{"dtype":"F16","shape":[4611686018427387904],"data_offsets":[0,8]}`, "shape: want at most the 12 bytes of data, got F16[4611686018427387904]"),
	entry("product wraps to 4", `{"dtype":"F16","shape":[2147483648,2147483648,4,1],"data_offsets":[0,8]}`, "shape: want at most the 12 bytes of data"),
	entry("zero", `{"dtype":"F16","shape":[0],"data_offsets":[0,0]}`, "shape: want no dimension of 0, got [0]"),
	entry("zero hides a huge one", `{"dtype":"F16","shape":[0,9223372036854775807],"data_offsets":[0,0]}`, "shape: want no dimension of 0"),
	entry("nine dimensions", `{"dtype":"F16","shape":[1,1,1,1,1,1,1,1,4],"data_offsets":[0,8]}`, "shape: want at most 8 dimensions"),
	entry("one offset", `{"dtype":"F16","shape":[4],"data_offsets":[0]}`, "data_offsets: want two numbers, got [0]"),
	entry("three offsets", `{"dtype":"F16","shape":[4],"data_offsets":[0,8,8]}`, "data_offsets: want at most 2 offsets"),
	entry("backwards", `{"dtype":"F16","shape":[4],"data_offsets":[8,0]}`, "data_offsets: want the begin before the end, got [8 0]"),
	entry("past the end", `{"dtype":"F16","shape":[4],"data_offsets":[8,16]}`, "data_offsets: want an end within the 12 bytes of data, got 16"),
	entry("far past the end", `{"dtype":"F16","shape":[4],"data_offsets":[0,9223372036854775807]}`, "data_offsets: want an end within the 12 bytes of data, got 9223372036854775807"),
	entry("too few bytes", `{"dtype":"F16","shape":[4],"data_offsets":[0,6]}`, "data_offsets: want 8 bytes for F16[4], got 6"),
	entry("too many bytes", `{"dtype":"BF16","shape":[2],"data_offsets":[0,8]}`, "data_offsets: want 4 bytes for BF16[2], got 8"),
	entry("scalar of two", `{"dtype":"F32","shape":[],"data_offsets":[0,8]}`, "data_offsets: want 4 bytes for F32[], got 8"),
}

// crowded is a sound header but for its size: as many tensors as asked for, each with the longest name.
func crowded(n int) []byte {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"%0256d":{"dtype":"F16","shape":[1,1,1,1,1,1,1,1],"data_offsets":[%d,%d]}`, i, 2*i, 2*i+2)
	}
	b.WriteByte('}')
	return weightstest.File(b.String(), make([]byte, 2*n))
}

// annotated is a header with n annotations.
func annotated(n int, key, value string) []byte {
	pairs := make([]string, n)
	for i := range pairs {
		pairs[i] = fmt.Sprintf(`"%s%d":"%s"`, key, i, value)
	}
	return weightstest.File(`{"__metadata__":{`+strings.Join(pairs, ",")+`}}`, nil)
}

// brokenHuge are files that try to cost memory, made one at a time, and the most that reading one may allocate.
var brokenHuge = []struct {
	name     string
	data     func() []byte
	fragment string
	mostMiB  uint64
}{
	{"a name of 16 MiB", func() []byte { return weightstest.File(`{"`+strings.Repeat("n", 16<<20)+`":1}`, nil) }, "strings of at most 256 bytes", 1},
	{"16 MiB of white space", func() []byte { return weightstest.File(`{`+strings.Repeat(" ", 16<<20), nil) }, "header: want a string, got the end of the header", 1},
	{"16 MiB of brackets", func() []byte { return weightstest.File(`{"a":{"shape":`+strings.Repeat("[", 16<<20), nil) }, "want a natural number", 1},
	{"an annotation of 16 MiB", func() []byte { return annotated(1, "", strings.Repeat("v", 16<<20)) }, "strings of at most 1048576 bytes", 1},
	{"annotations of 1 MiB and more", func() []byte { return annotated(3, "", strings.Repeat("v", 1<<19)) }, "__metadata__: want at most 1048576 bytes", 4},
	{"annotations of escapes", func() []byte { return annotated(9, "", strings.Repeat(`\u0041`, 1<<17)) }, "__metadata__: want at most 1048576 bytes", 60},
	{"40 000 annotations", func() []byte { return annotated(40_000, "k", "") }, "__metadata__: want at most 1048576 bytes and 32768 keys", 16},
	{"33 000 tensors", func() []byte { return crowded(33_000) }, "want at most 32768 tensors, got more", 60},
	{"32 768 tensors, one byte over", func() []byte { return append(crowded(1<<15), 0) }, "size: want 65536 bytes of data", 60},
	{"32 768 tensors, one name twice in the end", func() []byte { return compiledTwice(crowded(1 << 15)) }, "name: want one tensor for 01", 60},
}

// compiledTwice renames two tensors of a crowded file so that they get the same original name.
func compiledTwice(data []byte) []byte {
	const wrapper = "_orig_mod"
	bare := "01" + strings.Repeat("0", 256-len("01.")-len(wrapper))
	for i, twin := range []string{wrapper + "." + bare, bare + "." + wrapper} {
		name := strings.Repeat("0", 251) + fmt.Sprintf("%05d", 32_766+i)
		copy(data[strings.Index(string(data), name):], twin)
	}
	return data
}

// check parses data, and wants an error with the fragment for less than that much memory.
func (b broken) check(t *testing.T, mostMiB uint64) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f, err := weights.Parse("broken.st", b.data)
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Fatalf("want an error with %q, got a file of %d tensors", b.fragment, len(f.Tensors))
	}
	wantError(t, err, "broken.st: ", b.fragment)
	spent := after.TotalAlloc - before.TotalAlloc
	if spent > mostMiB<<20 {
		t.Errorf("want at most %d MiB allocated, got %d KiB", mostMiB, spent>>10)
	}
	t.Logf("%d bytes of file, %d KiB allocated: %v", len(b.data), spent>>10, err)
}

func TestBroken(t *testing.T) {
	if _, err := weights.Parse("sound", sound()); err != nil {
		t.Fatal("the file that is varied is broken itself:", err)
	}
	for _, table := range [][]broken{brokenFraming, brokenHeaders, brokenEntries} {
		for _, b := range table {
			t.Run(b.name, func(t *testing.T) { b.check(t, 1) })
		}
	}
}

func TestBrokenHuge(t *testing.T) {
	reference.Sequential(t)
	for _, b := range brokenHuge {
		t.Run(b.name, func(t *testing.T) { broken{b.name, b.data(), b.fragment}.check(t, b.mostMiB) })
	}
}

// A file cut anywhere is refused.
func TestTruncated(t *testing.T) {
	reference.Sequential(t)
	data := weightstest.Safetensors(weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1), map[string]string{"format": "pt"})
	n := 8 + int(binary.LittleEndian.Uint64(data))
	for cut := range len(data) {
		if cut > n+64 && cut%997 != 0 && cut < len(data)-64 {
			continue // far into the data one place is like another
		}
		_, err := weights.Parse("cut.st", data[:cut])
		if err == nil {
			t.Fatalf("a file cut at %d of %d opened", cut, len(data))
		}
		wantError(t, err, "cut.st: ")
	}
	for cut := range n - 8 { // the length agrees, the JSON is cut
		_, err := weights.Parse("cut.st", weightstest.File(string(data[8:8+cut]), data[n:]))
		if full := len(strings.TrimRight(string(data[8:n]), " ")); err == nil && cut < full {
			t.Fatalf("a header cut at %d of %d opened", cut, full)
		}
		if err != nil {
			wantError(t, err, "cut.st: ")
		}
	}
}
