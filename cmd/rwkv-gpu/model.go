package main

import (
	"errors"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
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
	o := model.Options{GroupNormEps: float32(a.common.groupNormEps), Quant: typ, LoRA: loras, State: a.common.state}
	if a.common.stateLayout != "auto" {
		o.StateLayout = a.common.stateLayout
	}
	m, err := openModelFile(a.common.model, o)
	var eps *model.EpsError
	if errors.As(err, &eps) {
		return nil, usagef("--group-norm-eps", "%v", eps)
	}
	if err == nil {
		if n := m.UnusedNotice(); n != "" {
			a.notice("%s", n)
		}
		a.loraNotices(m)
		if m.Begin != "" {
			a.notice("reading %s %s; --state-layout original if it is not", a.common.state, m.Begin)
		}
	}
	if err == nil && typ != 0 {
		a.quantNotice(m, typ)
	}
	return m, blame(a.common.model, err)
}

func openModelFile(path string, o model.Options) (*model.Model, error) {
	if isSynthetic(path) {
		return openSynthetic(path, o)
	}
	if path != "" {
		return model.OpenWith(path, o)
	}
	f, err := weights.Parse(demo.Name, demo.Weights())
	if err != nil {
		return nil, err
	}
	return model.NewWith(f, o)
}
