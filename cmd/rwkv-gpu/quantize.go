package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model/convert"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

const quantizeHelp = `Write the model as a GGUF file whose large matrices are stored as --type, in blocks of few bits: about the best blocks
that fit each matrix, found without data to calibrate on. The head takes at least q6_k; the embedding, the low-rank
matrices, norms and mixes stay as they are stored. RWKV-6 and 7, which are all that GGUF has names for; --quant
quantizes any version while it loads.`

func (a *app) quantizeCommand() *cobra.Command {
	var o writeFlags
	c := &cobra.Command{
		Use: "quantize OUT --type TYPE", Short: "Write the model as a quantized GGUF file", Long: quantizeHelp,
		Example: "  rwkv-gpu quantize rwkv7-g1-q4_k.gguf --type q4_k --model rwkv7-g1-0.1b.pth",
	}
	c.Flags().StringVar(&o.typ, "type", "", "`TYPE` q8_0, q6_k, q5_k, q4_k, q3_k, iq4_nl, q5_1, q5_0, q4_1 or q4_0; f32, f16 or bf16 store everything so")
	c.Flags().BoolVar(&o.force, "force", false, "replace OUT if it exists")
	return a.command(c, func(ctx context.Context, args []string) error {
		typ, err := parseType(o.typ, slices.Concat(tensor.BlockTypes, tensor.Types))
		if err != nil {
			return err
		}
		out, err := a.outName(args, o.force, ".gguf")
		if err != nil {
			return err
		}
		return a.writeModel(ctx, out, o.force, func(m *load.Opened) (*convert.Export, error) {
			types, err := convert.QuantTypes(m.Model, typ)
			if err != nil {
				return nil, err
			}
			return a.exportGGUF(m, types)
		})
	})
}
