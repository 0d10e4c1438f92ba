package state

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// State is a sequence's state, with what the sequence needs to go on.
type State struct {
	// Data is the slot's state, float32[Program.StateLen()] of the model.
	Data []float32
	// Tokens is how many tokens were fed, at most MostTokens; 0 in a file of version 1, which does not say.
	Tokens int
	// Pending is the id of a token that was drawn and must be fed next, None if there is none.
	Pending int
	// Sampler is the sampler's place in its own form, nil for none: the counts of the tokens that it accepted and its
	// position in the random numbers. Tokens that are fed without the sampler, such as a prompt's, do not change it.
	Sampler []byte
}

// None is the State.Pending of a sequence that waits for its next token.
const None = -1

// MostTokens bounds State.Tokens, so that sums of many such numbers do not overflow. Nobody feeds that many tokens.
const MostTokens = 1 << 48

// First returns the ids to feed first: the pending token, if there is one, and then ids. A nil State has no pending
// token.
func (s *State) First(ids []int) []int {
	if s == nil || s.Pending == None {
		return ids
	}
	return append([]int{s.Pending}, ids...)
}

// Values of the annotations format and version.
const (
	fileFormat   = "rwkv-gpu state"
	firstVersion = "1"
	fileVersion  = "2"
)

// The annotations' names.
const (
	keyFormat   = "format"
	keyVersion  = "version"
	keyModel    = "model"
	keyConfig   = "config_hash"
	keyID       = "model_id"
	keyLayout   = "layout"
	keyTokens   = "tokens"
	keyPending  = "pending"
	keySampler  = "sampler"
	keyChecksum = "sha256"
	keyLoRA     = "lora" // of version 1
)

// maxSampler bounds State.Sampler to the counts of 89,600 tokens, at 8 bytes each. As base64 they are less than 1 MiB,
// which is the longest annotation that readers of safetensors take here.
const maxSampler = 700 << 10

// stacked is a field over all layers.
type stacked struct {
	name   string
	shape  []int          // [L ...]
	fields []*model.Field // by layer
}

// stack groups the fields of a slot's state by name.
func stack(m *model.Model) []*stacked {
	var list []*stacked
	for i := range m.Fields {
		f := &m.Fields[i]
		name := "state." + f.Name
		at := slices.IndexFunc(list, func(t *stacked) bool { return t.name == name })
		if at < 0 {
			at = len(list)
			list = append(list, &stacked{name: name})
		}
		t := list[at]
		t.fields = append(t.fields, f)
		t.shape = append([]int{len(t.fields)}, f.Shape...)
	}
	return list
}

// fitting returns those annotations that do not depend on weights.
func fitting(m *model.Model) map[string]string {
	return map[string]string{
		keyFormat: fileFormat,
		keyModel:  m.Version,
		keyConfig: fmt.Sprintf("%08x", m.Hash()),
		keyLayout: m.StateLayout(),
	}
}

// epsilons returns the annotations of the model's epsilons. The epsilons are part of the identity too, but a difference
// of identities does not say whether weights or epsilons differ.
func epsilons(m *model.Model) map[string]string {
	text := func(eps float32) string { return strconv.FormatFloat(float64(eps), 'g', -1, 32) }
	list := map[string]string{weights.NormEpsilon: text(m.NormEps)}
	if m.Heads > 0 { // else there is no group norm
		list[weights.GroupNormEpsilon] = text(m.GroupNormEps)
	}
	return list
}

// check returns an error if s cannot be the state of a sequence of m.
func (s *State) check(m *model.Model) error {
	switch want := m.Program.StateLen(); {
	case len(s.Data) != want:
		return fmt.Errorf("state: want %d elements, got %d", want, len(s.Data))
	case s.Tokens < 0 || s.Tokens > MostTokens:
		return fmt.Errorf("state: tokens: want 0 to %d, got %d", MostTokens, s.Tokens)
	case s.Pending < None || s.Pending >= m.Vocab:
		return fmt.Errorf("state: pending: want a token of %d, or %d for none, got %d", m.Vocab, None, s.Pending)
	case len(s.Sampler) > maxSampler:
		return fmt.Errorf("state: sampler: want at most %d bytes, got %d", maxSampler, len(s.Sampler))
	}
	return nil
}

// Encode returns the file of a sequence of m, without the padding between fields. A value that is not finite is an
// error. The first call computes the model's identity, which takes time.
func Encode(m *model.Model, s *State) ([]byte, error) {
	if err := s.check(m); err != nil {
		return nil, err
	}
	meta, err := annotations(m, s)
	if err != nil {
		return nil, err
	}
	body := make([]byte, 0, bodySize(m))
	for _, t := range stack(m) {
		for _, f := range t.fields {
			part := s.Data[f.Off : f.Off+f.Len()]
			for i, v := range part {
				if !tensor.IsFinite(v) {
					return nil, fmt.Errorf("%s: layer %d: element %d: want a finite number, got %v", t.name, f.Layer, i, v)
				}
			}
			at := len(body)
			body = append(body, make([]byte, tensor.F32.Bytes(len(part)))...)
			tensor.F32.Encode(body[at:], part)
		}
	}
	meta[keyChecksum] = checksum(meta, body)
	out, err := head(m, meta)
	return append(out, body...), err
}

// Size returns how many bytes the file of a sequence of m has, without a look at its Data. The first call computes the
// model's identity, which takes time.
func Size(m *model.Model, s *State) (int, error) {
	meta, err := annotations(m, s)
	if err != nil {
		return 0, err
	}
	meta[keyChecksum] = checksum(meta, nil) // which is as long as that of the body
	out, err := head(m, meta)
	return len(out) + bodySize(m), err
}

// bodySize returns how many bytes the tensors of a file have.
func bodySize(m *model.Model) (n int) {
	for i := range m.Fields {
		n += tensor.F32.Bytes(m.Fields[i].Len())
	}
	return n
}

// annotations returns those of a sequence of m, without the checksum.
func annotations(m *model.Model, s *State) (map[string]string, error) {
	meta := fitting(m)
	maps.Copy(meta, epsilons(m))
	meta[keyVersion] = fileVersion
	var err error
	if meta[keyID], err = m.ID(); err != nil {
		return nil, err
	}
	meta[keyTokens] = strconv.Itoa(s.Tokens)
	if s.Pending != None {
		meta[keyPending] = strconv.Itoa(s.Pending)
	}
	if len(s.Sampler) > 0 {
		meta[keySampler] = base64.StdEncoding.EncodeToString(s.Sampler)
	}
	return meta, nil
}

// head returns what a file has before its tensors.
func head(m *model.Model, meta map[string]string) ([]byte, error) {
	type entry struct {
		Type    string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	header, at := map[string]any{"__metadata__": meta}, 0
	for _, t := range stack(m) {
		begin := at
		for _, f := range t.fields {
			at += tensor.F32.Bytes(f.Len())
		}
		header[t.name] = entry{tensor.F32.String(), t.shape, [2]int{begin, at}}
	}
	text, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), nil
}

// checksum returns the SHA-256 of annotations and tensors. In a file of version 1 it is that of the tensors alone.
func checksum(meta map[string]string, body []byte) string {
	h := sha256.New()
	if meta[keyVersion] != firstVersion {
		for _, key := range slices.Sorted(maps.Keys(meta)) {
			if key != keyChecksum {
				_, _ = fmt.Fprintf(h, "%q=%q\n", key, meta[key]) // a hash takes all
			}
		}
		_, _ = h.Write([]byte("\n"))
	}
	_, _ = h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}
