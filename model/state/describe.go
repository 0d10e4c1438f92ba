package state

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// Description is what a state file says of itself, whatever model it is of.
type Description struct {
	Version  string // of the form of the file
	Model    string // the version of the model, such as v7
	ModelID  string // of the weights and LoRAs; "" in a file of version 1
	Tokens   int
	Pending  int // as State has it
	Bytes    int // of the file
	Sampler  bool
	Intact   bool // reports whether the file is as it was written, by its checksum
	Checksum string
}

// mostDescribed bounds a file that is described without its model, which says how large a state is.
const mostDescribed = 4 << 30

// Describe reads what a state file says of itself. Every error is a *weights.Error, or of the system.
func Describe(path string) (*Description, error) {
	data, err := files.Read(path, mostDescribed)
	if err != nil {
		return nil, err
	}
	f, err := weights.Parse(path, data)
	if err != nil {
		return nil, err
	}
	if got := f.Meta[keyFormat]; got != fileFormat {
		return nil, mismatch(f, keyFormat, fileFormat, got)
	}
	d := &Description{Version: f.Meta[keyVersion], Model: f.Meta[keyModel], ModelID: f.Meta[keyID], Pending: None, Bytes: len(data), Checksum: f.Meta[keyChecksum]}
	body := data[8+binary.LittleEndian.Uint64(data):] // as Parse has found
	d.Intact = checksum(f.Meta, body) == d.Checksum
	for _, number := range []struct {
		key string
		to  *int
	}{{keyTokens, &d.Tokens}, {keyPending, &d.Pending}} {
		if text, ok := f.Meta[number.key]; ok {
			if *number.to, err = strconv.Atoi(text); err != nil {
				return nil, &weights.Error{File: path, Field: number.key, Want: "a whole number", Got: strconv.Quote(text)}
			}
		}
	}
	if text, ok := f.Meta[keySampler]; ok {
		if _, err := base64.StdEncoding.DecodeString(text); err != nil {
			return nil, &weights.Error{File: path, Field: keySampler, Want: "base64", Got: fmt.Sprintf("%d other bytes", len(text))}
		}
		d.Sampler = true
	}
	return d, nil
}
