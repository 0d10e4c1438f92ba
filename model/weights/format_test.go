package weights

import (
	"encoding/binary"
	"strings"
	"testing"
)

// Every kind of file that can be named is: each magic finds its own line and no earlier one takes it.
func TestEveryFormatIsDetected(t *testing.T) {
	samples := map[string]string{
		"PyTorch .pth (zip)":    "PK\x03\x04\x14\x00\x00\x00\x08\x00",
		"safetensors":           "\x02\x00\x00\x00\x00\x00\x00\x00{}",
		"PyTorch .pth (pickle)": "\x80\x02}q\x00(X",
		"GGUF":                  "GGUF\x03\x00\x00\x00\x7b",
		"rwkv.cpp .bin":         "fmgg\x64\x00\x00\x00\x7b",
		"ggml":                  "tjgg\x01\x00\x00\x00",
		"NumPy .npy":            "\x93NUMPY\x01",
		"HDF5":                  "\x89HDF\r\n\x1a\n",
		"gzip":                  "\x1f\x8b\x08",
		"zstd":                  "\x28\xb5\x2f\xfd\x04",
		"Git LFS pointer":       "version https://git-lfs.github.com/spec/v1",
		"web page":              "<html><head>",
		"JSON text":             `[{"a":1}]`,
	}
	for _, f := range formats {
		sample, ok := samples[f.name]
		if !ok {
			t.Errorf("no sample of %s", f.name)
			continue
		}
		for _, g := range formats {
			if g.detect([]byte(sample)) {
				if g.name != f.name {
					t.Errorf("a %s file is taken for %s", f.name, g.name)
				}
				break
			}
		}
		for n := range len(sample) { // no detector reads past the end
			for _, g := range formats {
				g.detect([]byte(sample[:n]))
			}
		}
	}
}

// A safetensors file stays one whatever its header length looks like.
func TestHeaderLengthLikeAMagic(t *testing.T) {
	for _, n := range []uint64{0x280, 0x0480, 0x8b1f, 0x04034b50, '{', 0x5b, 99_999_999} {
		data := append(binary.LittleEndian.AppendUint64(nil, n), "{}"...)
		_, _, err := read(data)
		if err == nil || !strings.Contains(err.Error(), "header length") {
			t.Errorf("length %#x: want an error about it, got %v", n, err)
		}
	}
}
