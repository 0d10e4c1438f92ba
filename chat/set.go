package chat

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
)

// Set changes a setting of the answers that follow. On an error nothing has changed.
func (s *Session) Set(key, value string) error {
	o := s.o
	var err error
	switch key {
	case "think":
		o.Think, err = prompt.ParseThink(key, value)
	case "preset":
		err = o.preset(value)
	case "max":
		o.Max, err = strconv.Atoi(value)
		if err == nil && o.Max < 1 {
			err = errors.New("too small")
		}
		err = wanted("a whole number of at least 1", value, err)
	case "seed":
		o.Params.Seed, err = strconv.ParseUint(value, 10, 64)
		o.Seeded, err = true, wanted("a whole number of at least 0", value, err)
	case "top_k":
		o.Params.TopK, err = strconv.Atoi(value)
		err = wanted("a whole number", value, err)
	default:
		err = o.number(key, value)
	}
	if err == nil {
		err = o.Params.Validate()
	}
	if err == nil {
		s.o = o
	}
	return err
}

// preset takes the settings of a preset, but for the seed.
func (o *Options) preset(name string) error {
	p, err := prompt.PresetByName("preset", name)
	if err != nil {
		return err
	}
	o.Params.Temperature, o.Params.TopP, o.Params.TopK = p.Temperature, p.TopP, p.TopK
	o.Params.Presence, o.Params.Frequency, o.Params.PenaltyDecay = p.Presence, p.Frequency, p.PenaltyDecay
	return nil
}

func (o *Options) number(key, value string) error {
	p := &o.Params
	to := map[string]*float32{"temperature": &p.Temperature, "top_p": &p.TopP, "min_p": &p.MinP, "presence": &p.Presence,
		"frequency": &p.Frequency, "penalty_decay": &p.PenaltyDecay}[key]
	if to == nil {
		return fmt.Errorf("want one of temperature, top_p, top_k, min_p, presence, frequency, penalty_decay, seed, max, think, preset, got %q", key)
	}
	x, err := strconv.ParseFloat(value, 32)
	*to = float32(x)
	return wanted("a number", value, err)
}

// wanted returns an error that says what was wanted, if err is one.
func wanted(what, value string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("want %s, got %q", what, value)
}
