package openai

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// NamedTool is the choice of a tool.
type NamedTool struct {
	Type     string `json:"type"`
	Name     string `json:"name"` // of responses
	Function *struct {
		Name string `json:"name"`
	} `json:"function"`
}

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
	var o NamedTool
	if err := json.UnmarshalDecode(d, &o); err != nil {
		return err
	}
	c.Mode, c.Name = "named", o.Name
	if o.Function != nil {
		c.Name = o.Function.Name
	}
	if o.Type != "function" || c.Name == "" {
		return wire.Wrong("", c.Want(), "another object")
	}
	return nil
}
