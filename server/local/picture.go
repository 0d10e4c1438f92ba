package local

import (
	"errors"

	"github.com/rwkv-gpu/rwkv-gpu/model/state/picture"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// DrawState returns the picture of a state, as package model/state/picture has it.
func (m *Model) DrawState(s *api.State, d api.Drawing) ([]byte, error) {
	data, err := picture.Encode(m.engine.Model, saved(s), picture.Options{Size: d.Size, Layer: d.Layer, Head: d.Head})
	var bad *picture.OptionError
	if errors.As(err, &bad) {
		return nil, wire.Wrong(bad.Field, bad.Want, bad.Got)
	}
	return data, err
}
