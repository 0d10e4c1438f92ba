package state

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// Decode returns the state of the file with this data. path is its name in errors. If the file is no whole state file,
// or has the state of another model or of this one with other LoRAs, the error is a *weights.Error.
func Decode(m *model.Model, path string, data []byte) (*State, error) {
	f, err := weights.Parse(path, data)
	if err != nil {
		return nil, err
	}
	return decode(m, f)
}

// decode returns the state in f. It checks the model's identity last, since that takes the longest.
func decode(m *model.Model, f *weights.File) (*State, error) {
	if err := checkForm(m, f); err != nil {
		return nil, err
	}
	s := &State{Data: make([]float32, m.Program.StateLen()), Pending: None}
	list := stack(m)
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
			tensor.F32.Decode(s.Data[field.Off:field.Off+field.Len()], part[:n])
			part = part[n:]
		}
	}
	if len(f.Tensors) != len(list) {
		return nil, &weights.Error{File: f.Path, Field: "tensors", Want: fmt.Sprint(len(list)), Got: fmt.Sprint(len(f.Tensors))}
	}
	if want, got := f.Meta[keyChecksum], checksum(f.Meta, body); got != want {
		if len(want) > len(got) {
			want = want[:len(got)] + "..."
		}
		return nil, &weights.Error{File: f.Path, Field: "data", Want: "the SHA-256 " + want, Got: got}
	}
	if f.Meta[keyVersion] != firstVersion {
		if err := s.annotated(m, f); err != nil {
			return nil, err
		}
	}
	return s, checkModel(m, f)
}

// checkForm checks that the annotations are those of a state of a model with m's sizes.
func checkForm(m *model.Model, f *weights.File) error {
	want := fitting(m)
	want[keyVersion] = fileVersion
	if f.Meta[keyVersion] == firstVersion {
		want[keyVersion] = firstVersion
	}
	for _, key := range []string{keyFormat, keyVersion, keyModel, keyLayout, keyConfig} {
		if f.Meta[key] == want[key] {
			continue
		}
		e := mismatch(f, key, want[key], f.Meta[key])
		if key == keyConfig {
			e.Want += fmt.Sprintf(" (%s)", &m.Config)
			e.Got += " (the state of a model of other sizes)"
		}
		return e
	}
	return nil
}

// mismatch returns the error for an annotation of f that is got and not want. "" stands for no annotation.
func mismatch(f *weights.File, key, want, got string) *weights.Error {
	quoted := func(s string) string {
		if s == "" {
			return "none"
		}
		return strconv.Quote(s)
	}
	return &weights.Error{File: f.Path, Field: key, Want: quoted(want), Got: quoted(got)}
}

// checkModel checks that f is of m's weights and LoRAs, as far as f says so.
func checkModel(m *model.Model, f *weights.File) error {
	var want, got string
	var err error
	if f.Meta[keyVersion] == firstVersion {
		want, err = m.File.SourcesDigest()
		got = f.Meta[keyLoRA]
	} else {
		if err := checkEpsilons(m, f); err != nil {
			return err
		}
		var id string
		if id, err = m.ID(); err != nil {
			return err
		}
		var own, others string
		own, want, _ = strings.Cut(id, "+")
		others, got, _ = strings.Cut(f.Meta[keyID], "+")
		if own != others {
			e := mismatch(f, keyID, own, others)
			e.Want += ", which is " + m.File.Path
			e.Got += " (the state of a model of other weights"
			if f.Meta[weights.NormEpsilon] == "" { // an early file
				e.Got += " or epsilons"
			}
			e.Got += ")"
			return e
		}
	}
	if err != nil || want == got {
		return err
	}
	e := mismatch(f, keyLoRA, want, got)
	switch {
	case want == "":
		e.Want += ": the state of this model, which has no LoRA"
	case got == "":
		e.Got += " (the state of this model without a LoRA)"
	default:
		e.Got += " (the state of this model with other LoRAs)"
	}
	return e
}

// The causes of errors of a state that belongs to a model with another epsilon.
var (
	errNormEps      = errors.New("the state of a model with another epsilon of the norms")
	ErrGroupNormEps = errors.New("the state of a model with another epsilon of the group norm")
)

// checkEpsilons checks that f is of m's epsilons. A file may say nothing of them beside the identity.
func checkEpsilons(m *model.Model, f *weights.File) error {
	want := epsilons(m)
	for _, key := range []string{weights.NormEpsilon, weights.GroupNormEpsilon} {
		if got, ok := f.Meta[key]; ok && got != want[key] {
			e := mismatch(f, key, want[key], got)
			e.Want += ", which " + m.File.Path + " has"
			e.Err = errNormEps
			if key == weights.GroupNormEpsilon {
				e.Err = ErrGroupNormEps
			}
			return e
		}
	}
	return nil
}

// annotated sets the fields of s that annotations have.
func (s *State) annotated(m *model.Model, f *weights.File) error {
	number := func(key string, least, most int) (int, error) {
		n, err := strconv.Atoi(f.Meta[key])
		if err != nil || n < least || n > most {
			want := fmt.Sprintf("a whole number from %d to %d", least, most)
			if key == keyPending {
				want = fmt.Sprintf("a token of %d", m.Vocab)
			}
			return 0, &weights.Error{File: f.Path, Field: key, Want: want, Got: strconv.Quote(f.Meta[key])}
		}
		return n, nil
	}
	var err error
	if s.Tokens, err = number(keyTokens, 0, MostTokens); err != nil {
		return err
	}
	if _, ok := f.Meta[keyPending]; ok {
		if s.Pending, err = number(keyPending, 0, m.Vocab-1); err != nil {
			return err
		}
	}
	text, ok := f.Meta[keySampler]
	if !ok {
		return nil
	}
	if s.Sampler, err = base64.StdEncoding.DecodeString(text); err != nil || len(s.Sampler) > maxSampler {
		return &weights.Error{File: f.Path, Field: keySampler, Want: fmt.Sprintf("at most %d bytes as base64", maxSampler), Got: strconv.Quote(text)}
	}
	return nil
}

// find returns the tensor of f, after a check of its shape, type and values.
func (t *stacked) find(f *weights.File) (*tensor.Tensor, error) {
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
