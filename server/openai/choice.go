package openai

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

func (c *ToolChoice) read(d *jsontext.Decoder) error {
	*c = ToolChoice{}
	switch d.PeekKind() {
	case 'n':
		return d.SkipValue()
	case '"':
		if err := json.UnmarshalDecode(d, &c.Mode); err != nil {
			return err
		}
		switch c.Mode {
		case "none", "auto", "required":
			return nil
		}
		return wire.Wrong("", c.Want(), "another string")
	}
	var o struct {
		Type     string `json:"type"`
		Name     string `json:"name"` // of responses
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if err := json.UnmarshalDecode(d, &o); err != nil {
		return err
	}
	c.Mode, c.Name = "named", o.Function.Name+o.Name
	if o.Type != "function" || c.Name == "" {
		return wire.Wrong("", c.Want(), "another object")
	}
	return nil
}
