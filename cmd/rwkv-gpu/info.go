package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// modelInfo is the answer of info --json.
type modelInfo struct {
	Version    string         `json:"version"`
	Layers     int            `json:"layers"`
	Embedding  int            `json:"embedding"`
	HeadSize   int            `json:"head_size"`
	FFN        int            `json:"ffn"`
	Vocab      int            `json:"vocab"`
	Parameters int            `json:"parameters"`
	Bytes      int            `json:"bytes"`
	Loaded     int            `json:"loaded_bytes"` // of the tensors in use, as --quant has them
	Format     string         `json:"format"`
	Layout     string         `json:"layout"` // of the tensors' names
	Ranks      map[string]int `json:"ranks"`
	Tensors    []tensorInfo   `json:"tensors"`
	Unused     []string       `json:"unused"`
	NormEps    float32        `json:"norm_eps"`
	GroupEps   float32        `json:"group_norm_eps,omitempty"` // of RWKV-5 and later
}

type tensorInfo struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Shape []int  `json:"shape"`
}

func (a *app) infoCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "info", Short: "Describe a model file", Args: noArgs,
		Long: "Describe a model file: version, sizes and tensors, under their original names, in the types that --quant gives them. Weights are not read.",
	}
	return a.command(c, func(context.Context, []string) (err error) {
		m, err := a.openModel()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.Close()) }()
		in := describe(m.Model)
		if a.common.json {
			return a.writeJSON(in)
		}
		return a.printInfo(m.Model, in)
	})
}

func describe(m *model.Model) *modelInfo {
	_, loaded := m.Bytes()
	in := &modelInfo{
		Version: m.Version, Layers: m.Layers, Embedding: m.Embed, HeadSize: m.HeadSize, FFN: m.FFN, Vocab: m.Vocab,
		Parameters: m.Parameters(), Bytes: m.File.Bytes(), Format: m.File.Format, Layout: m.File.Layout,
		Loaded: loaded, Ranks: m.Ranks, Unused: append([]string{}, m.Unused...),
		NormEps: m.NormEps, GroupEps: m.GroupNormEps,
	}
	for _, name := range m.File.Names() {
		t := m.File.Tensors[name]
		in.Tensors = append(in.Tensors, tensorInfo{name, m.LoadedAs(name).String(), append([]int{}, t.Shape...)})
	}
	return in
}

func (a *app) printInfo(m *model.Model, in *modelInfo) error {
	var b strings.Builder
	types := tensor.Counts{}
	for name := range m.File.Tensors {
		types[m.LoadedAs(name)]++
	}
	fmt.Fprintf(&b, "%s: %s\n", m.File.Path, &m.Config)
	fmt.Fprintf(&b, "%s parameters, %s, %s (%s names), %d tensors: %s\n\n", amount(float64(in.Parameters)),
		words.Size(uint64(in.Bytes)), in.Format, in.Layout, len(in.Tensors), types)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TENSOR\tTYPE\tSHAPE")
	for _, t := range in.Tensors {
		fmt.Fprintf(w, "%s\t%s\t%s\n", oneLine(t.Name), t.Type, strings.Trim(fmt.Sprint(t.Shape), "[]"))
	}
	_ = w.Flush() // to memory
	return a.printf("%s", b.String())
}

// amount returns a count with three digits and a suffix for thousands.
func amount(n float64) string {
	for _, unit := range []string{"", "k", "M", "G"} {
		if n < 1000 {
			return strings.TrimSpace(fmt.Sprintf("%.3g %s", n, unit))
		}
		n /= 1000
	}
	return fmt.Sprintf("%.3g T", n)
}
