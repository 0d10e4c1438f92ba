package state

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// Write writes a state file, as Target allows it. An earlier file is replaced only when the new one is complete and on
// the disk. Errors of writing are weights.SaveErrors.
func Write(m *model.Model, path string, s *State, force bool) error {
	data, err := Encode(m, s)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	special, err := Target(path, force)
	if err != nil {
		return err
	}
	if special {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return weights.NewSaveError(path, err)
		}
		return nil
	}
	return weights.Save(path, true, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Target returns an error, a weights.SaveError, if a state may not be written to path. It may if nothing is there, over
// a state or an empty file, over any other file if force is set, and to a pipe or device. special reports whether path
// is a pipe or device: that is written to and not replaced.
func Target(path string, force bool) (special bool, err error) {
	if info, err := os.Stat(path); err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		return true, nil
	}
	_, err = weights.Target(path, force)
	if !errors.Is(err, weights.ErrExists) {
		return false, err
	}
	if !replaceable(path) {
		return false, &weights.SaveError{Path: path, Err: fmt.Errorf("%w, and is no state file", weights.ErrExists)}
	}
	return false, nil
}

// replaceable reports whether a file is empty or begins like a state file, of any model.
func replaceable(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // read only
	head, err := io.ReadAll(io.LimitReader(f, 8+maxHeader))
	if err != nil || len(head) < 8 {
		return err == nil && len(head) == 0
	}
	var header struct {
		Meta struct {
			Format string `json:"format"`
		} `json:"__metadata__"`
	}
	size := binary.LittleEndian.Uint64(head)
	head = head[8:]
	return size <= uint64(len(head)) && json.Unmarshal(head[:size], &header) == nil && header.Meta.Format == fileFormat
}

// maxHeader bounds the header of a state file: most of it is the sampler's counts as base64.
const maxHeader = 2 << 20

// MostBytes bounds the files of sequences of m.
func MostBytes(m *model.Model) int64 {
	return int64(tensor.F32.Bytes(m.Program.StateLen()) + maxHeader)
}

// Read reads a state file of m. Every error of the file is a *weights.Error, or of the system.
func Read(m *model.Model, path string) (*State, error) {
	data, err := files.Read(path, MostBytes(m))
	if err != nil {
		return nil, err
	}
	return Decode(m, path, data)
}

// Begin makes sequences of m begin with the state in a file. The file is one of state tuning, in the given layout or,
// if layout is "", in the one that the file seems to have. Or it is one of Write, whose state saved is. assumed says
// what had to be assumed of the layout. Every error is a *weights.Error.
func Begin(m *model.Model, path, layout string) (saved *State, assumed string, err error) {
	f, err := weights.Open(path)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = f.Close() }() // read only
	if _, ok := f.Meta[keyFormat]; !ok || f.Tensors["state.att_x"] == nil {
		assumed, err = m.BeginTuned(f, layout)
		return nil, assumed, err
	}
	if layout != "" {
		return nil, "", &weights.Error{File: path, Field: keyLayout, Want: "a file of state tuning, to be read as " + layout, Got: "a state that says its own layout"}
	}
	if saved, err = decode(m, f); err != nil {
		return nil, "", err
	}
	return saved, "", m.BeginWith(saved.Data)
}
