package chat

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// Settings are the fields that say how tokens are drawn. Where one is not sent, that of the preset holds. Numbers are as they
// were sent, so that none is rounded into its range.
type Settings struct {
	Temperature  *float64           `json:"temperature"`
	TopP         *float64           `json:"top_p"`
	TopK         *int               `json:"top_k"`
	MinP         *float64           `json:"min_p"`
	Presence     *float64           `json:"presence_penalty"`
	Frequency    *float64           `json:"frequency_penalty"`
	PenaltyDecay *float64           `json:"penalty_decay"`
	Seed         *int64             `json:"seed"`
	Bias         map[string]float64 `json:"logit_bias"`
}

// Params returns the settings of a preset with those that were sent in their place, for a vocabulary of so many ids.
func (s *Settings) Params(preset sample.Params, vocab int) (sample.Params, *wire.Error) {
	p := preset
	set(&p.Temperature, s.Temperature)
	set(&p.TopP, s.TopP)
	if s.TopK != nil {
		p.TopK = max(*s.TopK, 0) // of all tokens, for which some clients send -1
	}
	set(&p.MinP, s.MinP)
	set(&p.Presence, s.Presence)
	set(&p.Frequency, s.Frequency)
	set(&p.PenaltyDecay, s.PenaltyDecay)
	if s.Seed != nil {
		p.Seed = uint64(*s.Seed)
	}
	if len(s.Bias) > 0 {
		p.Bias = make(map[int]float32, len(s.Bias))
	}
	for text, bias := range s.Bias {
		id, err := strconv.Atoi(text)
		if err != nil || id < 0 || id >= vocab || strconv.Itoa(id) != text { // so that no two names mean one id
			return p, wire.Wrong("logit_bias", fmt.Sprintf("token ids from 0 to %d as names", vocab-1), strconv.Quote(wire.Clip(text)))
		}
		if !(bias >= -100 && bias <= 100) {
			return p, wire.Wrong("logit_bias["+text+"]", "a number from -100 to 100", number(bias))
		}
		p.Bias[id] = float32(bias)
	}
	return p, s.check()
}

// check holds the settings to the protocol's ranges. TopK, MinP and PenaltyDecay are fields of our own.
func (s *Settings) check() *wire.Error {
	for _, f := range []struct {
		name     string
		value    *float64
		min, max float64
	}{
		{"temperature", s.Temperature, 0, 100},
		{"top_p", s.TopP, 0, 1},
		{"min_p", s.MinP, 0, 1},
		{"presence_penalty", s.Presence, -2, 2},
		{"frequency_penalty", s.Frequency, -2, 2},
		{"penalty_decay", s.PenaltyDecay, 0, 1},
	} {
		if f.value != nil && !(*f.value >= f.min && *f.value <= f.max) {
			return wire.Wrong(f.name, fmt.Sprintf("a number from %g to %g", f.min, f.max), number(*f.value))
		}
	}
	if s.TopK != nil && (*s.TopK < -1 || *s.TopK > math.MaxInt32) {
		return wire.Wrong("top_k", fmt.Sprintf("an integer from -1 to %d", math.MaxInt32), strconv.Itoa(*s.TopK))
	}
	return nil
}

func set(dst *float32, src *float64) {
	if src != nil {
		*dst = float32(*src)
	}
}

func number(x float64) string { return "the number " + strconv.FormatFloat(x, 'g', -1, 64) }

// Seeds returns the settings of one of several answers, which draw differently.
func (s *Settings) Seeds(p sample.Params, i int) sample.Params {
	if s.Seed != nil {
		p.Seed += uint64(i)
		return p
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	p.Seed = binary.LittleEndian.Uint64(b[:])
	return p
}

// Settings returns the settings for what is not sent: those that the server was told, else those of a name.
func (o *Options) Settings(name string) (sample.Params, *wire.Error) {
	if o.Preset != nil {
		return *o.Preset, nil
	}
	preset, err := prompt.PresetByName("preset", name)
	if err != nil {
		return sample.Params{}, Fault(err)
	}
	return PresetParams(preset), nil
}

// PresetParams returns a preset as a sampler takes it.
func PresetParams(preset prompt.Preset) sample.Params {
	p := sample.Default()
	p.Temperature, p.TopP, p.TopK = preset.Temperature, preset.TopP, preset.TopK
	p.Presence, p.Frequency, p.PenaltyDecay = preset.Presence, preset.Frequency, preset.PenaltyDecay
	return p
}
