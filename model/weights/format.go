package weights

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// contents is what a format reads from a file: tensors under the file's own names and shapes, in file order, names
// unique, sizes within the file.
type contents struct {
	tensors   []*tensor.Tensor
	unread    []unread // tensors of types that are not read, their names unique among all
	meta      map[string]string
	functions map[string]Function // see File.Functions; by original name
	layout    string              // set where the format settles it: the tensors then have their original names
	vocab     [][]byte            // see File.Vocab
	rescale   int                 // see File.RescaleEvery
	config    string              // the path of the config.json whose values meta has, "" without one
}

// format is one kind of file, known by its first bytes. A kind without a read function cannot be opened; it is known so
// that errors can name it. notModel says that a kind is no model file at all.
type format struct {
	name     string
	detect   func(data []byte) bool
	read     func(data []byte) (contents, error)
	notModel string
}

// formats are tried in order. The zip test comes first, since its magic is also a possible header length of
// safetensors. The bytes behind it tell the two apart.
var formats = []format{
	{"PyTorch .pth (zip)", isZip, readTorchZip, ""},
	{"safetensors", isSafetensors, readSafetensors, ""},
	{"PyTorch .pth (pickle)", isPickle, readTorchLegacy, ""},
	{ggufFormat, prefix("GGUF"), readGGUF, ""},
	{"rwkv.cpp .bin", prefix("fmgg"), readGGMF, ""},
	{"ggml", prefix("lmgg", "tjgg"), nil, ""},
	{"NumPy .npy", prefix("\x93NUMPY"), nil, ""},
	{"HDF5", prefix("\x89HDF"), nil, ""},
	{"gzip", prefix("\x1f\x8b"), nil, ""},
	{"zstd", prefix("\x28\xb5\x2f\xfd"), nil, ""},
	{"Git LFS pointer", prefix("version https://git-lfs"), nil, "a Git LFS pointer: the model itself was not downloaded"},
	{"web page", isHTML, nil, "a web page: the model itself was not downloaded"},
	{"JSON text", isJSON, nil, "JSON text, not a model file"},
}

// supported lists the formats that can be read.
func supported() string {
	var names []string
	for _, f := range formats {
		if f.read != nil {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, ", ")
}

// read finds the format of data and reads it.
func read(data []byte) (name string, c contents, err error) {
	if len(data) == 0 {
		return "", c, &Error{Field: "size", Want: "a model file (" + supported() + ")", Got: "an empty file"}
	}
	for _, f := range formats {
		if !f.detect(data) {
			continue
		}
		if f.notModel != "" {
			return "", c, &Error{Field: "format", Err: fmt.Errorf("this is %s (supported: %s)", f.notModel, supported())}
		}
		if f.read == nil {
			return "", c, &Error{Field: "format", Err: fmt.Errorf("this is a %s file: not supported (supported: %s)", f.name, supported())}
		}
		if c, err = f.read(data); err == nil && len(c.tensors) == 0 && len(c.unread) > 0 {
			err = unreadError("", f.name, c.unread[0].name, c.unread[0].typ)
		}
		return f.name, c, err
	}
	return "", c, &Error{Field: "format", Want: supported(), Got: fmt.Sprintf("an unknown format that begins % x", data[:min(len(data), 16)])}
}

func prefix(magics ...string) func([]byte) bool {
	return func(data []byte) bool {
		for _, m := range magics {
			if bytes.HasPrefix(data, []byte(m)) {
				return true
			}
		}
		return false
	}
}

// isZip accepts a local file header with a compression method that PyTorch uses: stored or deflated.
func isZip(data []byte) bool {
	if !bytes.HasPrefix(data, []byte("PK\x03\x04")) {
		return false
	}
	return len(data) < 10 || data[9] == 0 && (data[8] == 0 || data[8] == 8)
}

// isSafetensors accepts a possible header length, or an impossible one before something like a header, so that errors
// report a broken header as such.
func isSafetensors(data []byte) bool {
	if len(data) < 8 {
		return false
	}
	if binary.LittleEndian.Uint64(data) <= maxHeader {
		return true
	}
	return len(data) > 8 && data[8] == '{' && !isJSON(data) && !isGGML(data)
}

// isGGML accepts the formats of the ggml family. Their ninth byte is a count that may look like a brace.
func isGGML(data []byte) bool { return prefix("GGUF", "fmgg", "lmgg", "tjgg")(data) }

// isPickle accepts the protocol opcode of the binary pickle protocols.
func isPickle(data []byte) bool {
	return len(data) >= 3 && data[0] == 0x80 && data[1] >= 2 && data[1] <= 5
}

func isHTML(data []byte) bool {
	head := bytes.ToLower(bytes.TrimSpace(data[:min(len(data), 64)]))
	return bytes.HasPrefix(head, []byte("<!doctype")) || bytes.HasPrefix(head, []byte("<html"))
}

func isJSON(data []byte) bool {
	head := bytes.TrimLeft(data[:min(len(data), 64)], " \t\r\n")
	return len(head) > 0 && (head[0] == '{' || head[0] == '[')
}
