package prompt

import (
	"fmt"
	"strings"
)

// Preset is sampling settings that somebody recommends. Their order is that of the RWKV pip package: penalties, top-p,
// top-k, and the temperature last.
type Preset struct {
	Name         string
	Temperature  float32
	TopP         float32 // 0 is greedy
	TopK         int     // 0 is off
	Presence     float32
	Frequency    float32
	PenaltyDecay float32 // factor on all penalties after each token
	About        string  // for what, and by whom
}

// presets are those that are known. Where a source gives a range, the value in its middle stands.
var presets = []Preset{
	{"chat", 1, 0.3, 0, 0.5, 0.5, 0.996, "conversation (card of the G1 models)"},
	{"math", 0.3, 0.3, 0, 0, 0, 0.996, "mathematics, code and facts (card of the G1 models)"},
	{"creative", 0.6, 0.7, 0, 1.5, 0.2, 0.99, "stories (card of the G1 models: top-p 0.6 to 0.8, presence 1 to 2)"},
	{"tools", 1, 0, 0, 0, 0, 0.996, "calls of tools, greedy (Gradio demo of the G1 models)"},
	{"open-think", 0.96, 0.76, 32, 1, 0.1, 0.988, "thinking (evaluation rules of the G1 models)"},
	{"fast-think", 1, 0.28, 32, 1, 0.1, 0.988, "fast thinking (evaluation rules of the G1 models)"},
	{"think-tools", 0.96, 0.76, 32, 0, 0, 0.988, "thinking and calls of tools (evaluation rules of the G1 models)"},
	{"gradio", 1, 0.5, 500, 2, 0.2, 0.99, "Gradio demo of the G1 models"},
	{"app", 1, 0.5, 0, 2, 0.2, 0.99, "RWKV App, default"},
	{"app-comprehensive", 1, 0.3, 0, 2, 0.2, 0.99, "RWKV App"},
	{"app-creative", 1, 0.6, 0, 2, 0.2, 0.99, "RWKV App"},
	{"app-conservative", 0.4, 0.4, 0, 1, 0.1, 0.99, "RWKV App"},
	{"app-fixed", 0.2, 0, 0, 0, 0, 0.99, "RWKV App, greedy"},
	{"lightning", 1, 0.3, 20, 2, 0.2, 0.996, "rwkv_lightning"},
	{"story", 0.8, 0.9, 0, 0, 0, 0.996, "the embedded model, which tells stories"},
}

// Presets returns all presets.
func Presets() []Preset { return append([]Preset(nil), presets...) }

// PresetByName returns the preset of a name. The error is a *FieldError of field.
func PresetByName(field, name string) (Preset, error) {
	names := make([]string, len(presets))
	for i, p := range presets {
		if p.Name == name {
			return p, nil
		}
		names[i] = p.Name
	}
	return Preset{}, &FieldError{field, "one of " + strings.Join(names, ", "), fmt.Sprintf("%q", name)}
}
