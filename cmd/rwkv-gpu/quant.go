package main

import (
	"fmt"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// asStored is the --quant that changes nothing.
const asStored = "none"

// quantTypes are the types that --quant takes, the best first.
var quantTypes = []tensor.Type{tensor.Q8_0, tensor.Q6_K, tensor.Q5_K, tensor.Q5_1, tensor.Q5_0, tensor.Q4_K, tensor.Q4_1,
	tensor.IQ4_NL, tensor.Q4_0, tensor.Q3_K}

func quantNames() string {
	names := []string{asStored}
	for _, t := range quantTypes {
		names = append(names, strings.ToLower(t.String()))
	}
	return strings.Join(names, ", ")
}

// parseQuant returns the type that --quant names, 0 for none.
func parseQuant(name string) (tensor.Type, error) {
	if strings.EqualFold(name, asStored) {
		return 0, nil
	}
	if t, ok := tensor.ParseType(strings.ToUpper(name)); ok && t.IsBlock() {
		return t, nil
	}
	return 0, usagef("--quant", "want one of %s, got %q", quantNames(), name)
}

// quantNotice says in a line what quantizing does to m.
func (a *app) quantNotice(m *model.Model, want tensor.Type) {
	if len(m.Quantized) == 0 {
		a.notice("--quant %s changes nothing in %s", a.common.quant, m.File.Path)
		return
	}
	others, again := map[string]int{}, 0 // but for the head
	for name, typ := range m.Quantized {
		if typ != want && name != "head.weight" {
			others[typ.String()]++
		}
		if m.File.Tensors[name].Type.IsBlock() {
			again++
		}
	}
	stored, loaded := m.Bytes()
	line := fmt.Sprintf("quantizing to %s while loading: weights %s, as stored %s", want, size(uint64(loaded)), size(uint64(stored)))
	if head := m.LoadedAs("head.weight"); head != want {
		line += fmt.Sprintf("; head %s", head)
	}
	if len(others) > 0 {
		line += fmt.Sprintf("; %s, for rows that are not whole blocks of %s", typeCounts(others), want)
	}
	if len(m.Unfit) > 0 {
		line += fmt.Sprintf("; %s kept, whose rows are not whole blocks: %s", plural(len(m.Unfit), "tensor"), model.Few(m.Unfit))
	}
	if again > 0 {
		line += fmt.Sprintf("; %s quantized before, which adds up", plural(again, "tensor"))
	}
	cost := model.QuantCosts[want]
	a.notice("%s; measured on the demo model: perplexity %+.2f %%, KL %.2g", line, 100*(cost.Perplexity-1), cost.KL)
}
