package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
)

const devicesHelp = `List the Vulkan devices, the one that --device gpu takes marked with a star. --device auto takes it too, unless it is a
processor: then the CPU by itself is faster.

Without any the exit status is 4. --device cpu needs no Vulkan.`

func (a *app) devicesCommand() *cobra.Command {
	c := &cobra.Command{Use: "devices", Short: "List the Vulkan devices", Long: devicesHelp, Args: noArgs}
	return a.command(c, func(context.Context, []string) error {
		infos, err := device.List()
		if err != nil {
			return err
		}
		if a.common.json {
			return a.writeJSON(map[string][]gpu.Info{"devices": infos})
		}
		var b strings.Builder
		w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "\tINDEX\tNAME\tTYPE\tMEMORY\tVULKAN\tSUBGROUP\tDRIVER")
		for _, in := range infos {
			star := ""
			if in.Index == gpu.Pick(infos) {
				star = "*"
			}
			fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%d\t%s\n", star, in.Index, oneLine(in.Name), in.Type,
				words.Size(in.MemoryBytes), in.API, in.Subgroup.Size, oneLine(in.Driver))
		}
		_ = w.Flush() // to memory
		return a.printf("%s", b.String())
	})
}
