package load

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/lora"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// loraNotices says what each LoRA changed, in a line each.
func (o *Options) loraNotices(merges []lora.Merge, loras []loraOption) {
	pissa := slices.ContainsFunc(merges, func(m lora.Merge) bool { return m.Start })
	for i := range merges {
		m := &merges[i]
		n := Notice{Text: fmt.Sprintf("merging %s: matrices changed: %d, ", m.Path, m.Changed), Input: LoRA}
		if len(m.Ranks) > 0 {
			n.Text += fmt.Sprintf("rank %s, ", strings.ReplaceAll(strings.Trim(fmt.Sprint(m.Ranks), "[]"), " ", " and "))
		}
		n.Text += fmt.Sprintf("scale %v", m.Scale)
		if m.Replaced > 0 {
			n.Text += fmt.Sprintf("; tensors replaced: %d", m.Replaced)
		}
		if k := len(m.Widened); k > 0 {
			n.Text += fmt.Sprintf("; changed from blocks to F16: %d", k)
		}
		if !loras[i].scaled && !pissa && len(m.Ranks) > 0 {
			n.Advice = m.Path + ":ALPHA/RANK, as a number, if it was trained with another alpha than its rank"
		}
		o.notice(n)
	}
}

// quantNotice says in a line how quantizing changes m.
func quantNotice(m *model.Model, want tensor.Type) Notice {
	if len(m.Quantized) == 0 {
		return Notice{Text: fmt.Sprintf("quantizing to %s changes nothing in %s", want, m.File.Path), Input: Quant}
	}
	others, again := tensor.Counts{}, 0 // but for the head
	for name, typ := range m.Quantized {
		if typ != want && name != "head.weight" {
			others[typ]++
		}
		if m.File.Tensors[name].Type.IsBlock() {
			again++
		}
	}
	stored, loaded := m.Bytes()
	line := fmt.Sprintf("quantizing to %s while loading: weights %s, as stored %s", want, words.Size(uint64(loaded)), words.Size(uint64(stored)))
	if head := m.LoadedAs("head.weight"); head != want {
		line += fmt.Sprintf("; head %s", head)
	}
	if len(others) > 0 {
		line += fmt.Sprintf("; %s, for rows that are not whole blocks of %s", others, want)
	}
	if len(m.Unfit) > 0 {
		line += fmt.Sprintf("; %s kept, whose rows are not whole blocks: %s", words.Plural(len(m.Unfit), "tensor"), model.Few(m.Unfit))
	}
	if again > 0 {
		line += fmt.Sprintf("; %s quantized before, which adds up", words.Plural(again, "tensor"))
	}
	cost := model.QuantCosts[want]
	return Notice{Input: Quant, Text: fmt.Sprintf("%s; measured on the demo model: perplexity %+.2f %%, KL %.2g", line, 100*(cost.Perplexity-1), cost.KL)}
}
