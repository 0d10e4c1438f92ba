package model

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// A state file holds one sequence's state as safetensors: for each field a tensor state.FIELD, F32, of the field's
// shape stacked over the layers, such as state.att_x [L C] and state.att_kv [L H N N]. Annotations say what it is, for
// which model, and what the data's SHA-256 is, over the tensors in the order of the model's fields. The state of a model
// with LoRAs also has the annotation lora, a hash of them, and fits no other.
const (
	stateFormat  = "rwkv-gpu state"
	stateVersion = "1"
	// Of a head's matrix in RWKV-7, row i belongs to element i of the value, column j to element j of the key; in RWKV-5
	// and 6 it is the other way round. RWKV-4 has none.
	valueMajor = "value-major"
	keyMajor   = "key-major"
	vectors    = "vectors"
)

// stateTensor is a field over all layers.
type stateTensor struct {
	name   string
	shape  []int    // [L ...]
	fields []*Field // by layer
}

// stateTensors groups the fields of a slot's state by name.
func (m *Model) stateTensors() []*stateTensor {
	var list []*stateTensor
	for i := range m.Fields {
		f := &m.Fields[i]
		name := "state." + f.Name
		at := slices.IndexFunc(list, func(t *stateTensor) bool { return t.name == name })
		if at < 0 {
			at = len(list)
			list = append(list, &stateTensor{name: name})
		}
		t := list[at]
		t.fields = append(t.fields, f)
		t.shape = append([]int{len(t.fields)}, f.Shape...)
	}
	return list
}

// annotations returns what a state file of m says, less the checksum.
func (m *Model) annotations() (map[string]string, error) {
	a := map[string]string{
		"format":      stateFormat,
		"version":     stateVersion,
		"model":       m.Version,
		"config_hash": fmt.Sprintf("%08x", m.Hash()),
		"layout":      m.version.stateLayout,
	}
	lora, err := m.File.SourcesDigest()
	if lora != "" {
		a["lora"] = lora
	}
	return a, err
}

// EncodeState returns the state file of a slot's state, float32[Program.StateLen()]. Padding between fields is dropped.
// A value that is not finite is refused.
func (m *Model) EncodeState(state []float32) ([]byte, error) {
	if want := m.Program.StateLen(); len(state) != want {
		return nil, fmt.Errorf("state: want %d elements, got %d", want, len(state))
	}
	type entry struct {
		Type    string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	header, body := make(map[string]any), []byte{}
	for _, t := range m.stateTensors() {
		begin := len(body)
		for _, f := range t.fields {
			part := state[f.Off : f.Off+f.Len()]
			for i, v := range part {
				if !tensor.IsFinite(v) {
					return nil, fmt.Errorf("%s: layer %d: element %d: want a finite number, got %v", t.name, f.Layer, i, v)
				}
			}
			at := len(body)
			body = append(body, make([]byte, tensor.F32.Bytes(len(part)))...)
			tensor.F32.Encode(body[at:], part)
		}
		header[t.name] = entry{tensor.F32.String(), t.shape, [2]int{begin, len(body)}}
	}
	meta, err := m.annotations()
	if err != nil {
		return nil, err
	}
	meta["sha256"] = checksum(body)
	header["__metadata__"] = meta
	text, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	return append(append(out, text...), body...), nil
}

func checksum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// WriteState writes a state file, as StateTarget allows it. A file that was there is replaced only once the new one is
// complete and on the disk. Errors of writing are weights.SaveErrors.
func (m *Model) WriteState(path string, state []float32, force bool) error {
	data, err := m.EncodeState(state)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	special, err := StateTarget(path, force)
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

// StateTarget tells whether a state may be written to path: where nothing is, over a state or an empty file, over any other
// file if force is given, and to a pipe or device, which is special: it is written to and not replaced. If not, that is a
// weights.SaveError.
func StateTarget(path string, force bool) (special bool, err error) {
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

// replaceable tells whether a file is empty or begins as a state file, of whatever model.
func replaceable(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // read only
	head, err := io.ReadAll(io.LimitReader(f, 8+maxStateHeader))
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
	return size <= uint64(len(head)) && json.Unmarshal(head[:size], &header) == nil && header.Meta.Format == stateFormat
}

// maxStateHeader bounds the header of a state file, which is far shorter.
const maxStateHeader = 1 << 20

// ReadState reads a state file of this model and returns the state as EncodeState takes it. Every error of the file is
// a *weights.Error.
func (m *Model) ReadState(path string) ([]float32, error) {
	data, err := files.Read(path, int64(tensor.F32.Bytes(m.Program.StateLen())+maxStateHeader))
	if err != nil {
		return nil, err
	}
	return m.DecodeState(path, data)
}

// DecodeState is ReadState for a file in memory; path only names it in errors.
func (m *Model) DecodeState(path string, data []byte) ([]float32, error) {
	f, err := weights.Parse(path, data)
	if err != nil {
		return nil, err
	}
	return m.decodeState(f)
}

// decodeState returns the state in f, once opened.
func (m *Model) decodeState(f *weights.File) ([]float32, error) {
	if err := m.checkAnnotations(f); err != nil {
		return nil, err
	}
	list := m.stateTensors()
	state := make([]float32, m.Program.StateLen())
	var body []byte
	for _, t := range list {
		x, err := t.find(f)
		if err != nil {
			return nil, err
		}
		begin := len(body)
		if err := x.Use(func(data []byte) error {
			body = append(body, data...)
			return nil
		}); err != nil {
			return nil, err
		}
		part := body[begin:]
		for _, field := range t.fields {
			n := tensor.F32.Bytes(field.Len())
			tensor.F32.Decode(state[field.Off:field.Off+field.Len()], part[:n])
			part = part[n:]
		}
	}
	if len(f.Tensors) != len(list) {
		return nil, &weights.Error{File: f.Path, Field: "tensors", Want: fmt.Sprint(len(list)), Got: fmt.Sprint(len(f.Tensors))}
	}
	if want, got := f.Meta["sha256"], checksum(body); got != want {
		return nil, &weights.Error{File: f.Path, Field: "data", Want: "the SHA-256 " + want, Got: got}
	}
	return state, nil
}

// checkAnnotations wants every annotation that a state file of m has.
func (m *Model) checkAnnotations(f *weights.File) error {
	want, err := m.annotations()
	if err != nil {
		return err
	}
	for _, key := range []string{"format", "version", "model", "layout", "config_hash", "lora"} {
		got, ok := f.Meta[key]
		if got == want[key] {
			continue
		}
		e := &weights.Error{File: f.Path, Field: key, Want: fmt.Sprintf("%q", want[key]), Got: fmt.Sprintf("%q", got)}
		if !ok {
			e.Got = "none"
		}
		if key == "config_hash" {
			e.Want += fmt.Sprintf(" (%s)", &m.Config)
			e.Got += " (the state of a model of other sizes)"
		}
		if want[key] == "" {
			e.Want = "none: the state of this model, which has no LoRA"
		}
		return e
	}
	return nil
}

// find returns the tensor of f, its shape, type and values checked.
func (t *stateTensor) find(f *weights.File) (*tensor.Tensor, error) {
	x, err := f.Tensor(t.name)
	if err != nil {
		return nil, err
	}
	if x.Type != tensor.F32 || !slices.Equal(x.Shape, t.shape) {
		return nil, &weights.Error{File: f.Path, Tensor: t.name, Field: "shape",
			Want: fmt.Sprintf("%s%v", tensor.F32, t.shape), Got: fmt.Sprintf("%s%v", x.Type, x.Shape)}
	}
	return x, f.CheckFinite(x)
}
