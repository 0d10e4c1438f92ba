package main

import (
	"errors"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/model/lora"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// openModel opens the model of --model, or the embedded one.
func (a *app) openModel() (*model.Model, error) {
	typ, err := parseQuant(a.common.quant)
	if err != nil {
		return nil, err
	}
	loras, err := a.common.parseLoRAs()
	if err != nil {
		return nil, err
	}
	o := model.Options{GroupNormEps: float32(a.common.groupNormEps), Quant: typ}
	m, merges, err := openModelFile(a.common.model, loras, o)
	var eps *model.EpsError
	if errors.As(err, &eps) {
		return nil, usagef("--group-norm-eps", "%v", eps)
	}
	if err == nil {
		if n := m.UnusedNotice(); n != "" {
			a.notice("%s", n)
		}
		a.loraNotices(merges)
		err = a.begin(m)
	}
	if err == nil && typ != 0 {
		a.quantNotice(m, typ)
	}
	return m, blame(a.common.model, err)
}

// begin has sequences of m begin with the state of --state. An error closes m.
func (a *app) begin(m *model.Model) error {
	if a.common.state == "" {
		return nil
	}
	layout := a.common.stateLayout
	if layout == "auto" {
		layout = ""
	}
	_, assumed, err := state.Begin(m, a.common.state, layout)
	if assumed != "" {
		a.notice("reading %s %s; --state-layout original if it is not", a.common.state, assumed)
	}
	if err != nil {
		_ = m.Close() // the error that counts is err
	}
	return err
}

func openModelFile(path string, loras []lora.File, o model.Options) (*model.Model, []lora.Merge, error) {
	f, err := openWeights(path)
	if err != nil {
		return nil, nil, err
	}
	merged, merges, err := lora.Apply(f, loras)
	if err != nil {
		_ = f.Close() // the error that counts is err
		return nil, nil, err
	}
	m, err := model.NewWith(merged, o)
	if err != nil {
		_ = merged.Close() // likewise
	}
	return m, merges, err
}

func openWeights(path string) (*weights.File, error) {
	switch {
	case isSynthetic(path):
		return openSynthetic(path)
	case path != "":
		return weights.Open(path)
	}
	return weights.Parse(demo.Name, demo.Weights())
}
