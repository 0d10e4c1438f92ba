package load

import (
	"errors"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/lora"
)

func TestParseLoRA(t *testing.T) {
	for text, want := range map[string]loraOption{
		"x.pth":           {lora.File{Path: "x.pth", Scale: 1}, false},
		"x.pth:2":         {lora.File{Path: "x.pth", Scale: 2}, true},
		"x.pth:1e-1":      {lora.File{Path: "x.pth", Scale: 0.1}, true},
		"x.pth:.5":        {lora.File{Path: "x.pth", Scale: 0.5}, true},
		"x.pth:-1.":       {lora.File{Path: "x.pth", Scale: -1}, true},
		"x.pth:":          {lora.File{Path: "x.pth:", Scale: 1}, false},
		`C:\x.pth`:        {lora.File{Path: `C:\x.pth`, Scale: 1}, false},
		`C:\x.pth:+0.25`:  {lora.File{Path: `C:\x.pth`, Scale: 0.25}, true},
		"C:/1":            {lora.File{Path: "C:/1", Scale: 1}, false},
		"x:2:3":           {lora.File{Path: "x:2", Scale: 3}, true},
		"x.pth:inf":       {lora.File{Path: "x.pth:inf", Scale: 1}, false},
		"x.pth:NaN":       {lora.File{Path: "x.pth:NaN", Scale: 1}, false},
		"x.pth:0x10":      {lora.File{Path: "x.pth:0x10", Scale: 1}, false},
		"x.pth: 2":        {lora.File{Path: "x.pth: 2", Scale: 1}, false},
		"epoch:1/rwkv.st": {lora.File{Path: "epoch:1/rwkv.st", Scale: 1}, false},
	} {
		got, err := parseLoRA(text)
		if err != nil || got != want {
			t.Errorf("%q: want %v, got %v %v", text, want, got, err)
		}
	}
	for _, text := range []string{"", ":2", "x:1e99"} {
		if _, err := parseLoRA(text); err == nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What is wrong with an option is known before any file is opened, and says which one it is.
func TestCheck(t *testing.T) {
	for want, o := range map[string]Options{
		"":                                       {},
		"model: want one of 0.1b, ":              {Model: SyntheticPrefix + "3b"},
		`quantization: want one of none, q8_0, `: {Quant: "f16"},
		`LoRA: want FILE or FILE:SCALE, got ":1"`:                      {LoRAs: []string{"x.pth", ":1"}},
		"LoRA: want a scale that float32 can hold, got \"1e99\"":       {LoRAs: []string{"x:1e99"}},
		`state layout: want auto, original or web-rwkv, got "rwkv"`:    {State: "s", StateLayout: "rwkv"},
		"state layout: want a state too, got none to read as original": {StateLayout: "original"},
		"group norm epsilon: want 64e-5 or 1e-5, got 0.1":              {GroupNormEps: 0.1},
	} {
		err := o.Check()
		var option *OptionError
		if want == "" && err != nil || want != "" && (!errors.As(err, &option) || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%+v: want %q, got %v", o, want, err)
		}
		if _, opened := Open(o); want != "" && (opened == nil || opened.Error() != err.Error()) {
			t.Errorf("%+v: opened with the error %v", o, opened)
		}
	}
	for _, o := range []Options{{Model: "synthetic:0.1B", Quant: "Q4_K"}, {Quant: "NONE", StateLayout: "auto"}, {GroupNormEps: 64e-5}, {GroupNormEps: 1e-5}} {
		if err := o.Check(); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
