package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model/convert"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

const convertHelp = `Write the model as a file of another format, by the ending of its name:

  OUT.safetensors   the original names and shapes; every version
  OUT.gguf          llama.cpp's names, with the vocabulary; RWKV-6 and 7

Numbers stay as they are stored, unless --type asks for another type. Where the other format has no place for something,
that is an error or a notice. quantize writes files in blocks of few bits.`

// writeFlags are the flags of the commands that write a model.
type writeFlags struct {
	typ   string
	force bool
}

func (a *app) convertCommand() *cobra.Command {
	var o writeFlags
	c := &cobra.Command{
		Use: "convert OUT", Short: "Write the model as safetensors or GGUF", Long: convertHelp,
		Example: "  rwkv-gpu convert rwkv7-g1-0.1b.gguf --model rwkv7-g1-0.1b.pth",
	}
	c.Flags().StringVar(&o.typ, "type", "", "store numbers as `TYPE` f32, f16 or bf16; without it, as they are")
	c.Flags().BoolVar(&o.force, "force", false, "replace OUT if it exists")
	return a.command(c, func(ctx context.Context, args []string) error {
		var typ tensor.Type
		if c.Flags().Changed("type") {
			var err error
			if typ, err = parseType(o.typ, tensor.Types); err != nil {
				return err
			}
		}
		out, err := a.outName(args, o.force, ".safetensors", ".gguf")
		if err != nil {
			return err
		}
		return a.writeModel(ctx, out, o.force, func(m *load.Opened) (*convert.Export, error) {
			if ending(out) == ".gguf" {
				return a.exportGGUF(m, convert.Types(m.Model, typ))
			}
			return convert.Safetensors(m.Model, typ)
		})
	})
}

// parseType returns the type of --type, one of list.
func parseType(name string, list []tensor.Type) (tensor.Type, error) {
	if typ, ok := tensor.ParseType(strings.ToUpper(name)); ok && slices.Contains(list, typ) {
		return typ, nil
	}
	var names []string
	for _, t := range list {
		names = append(names, strings.ToLower(t.String()))
	}
	return 0, usagef("--type", "want one of %s, got %q", strings.Join(names, ", "), name)
}

func ending(path string) string { return strings.ToLower(filepath.Ext(path)) }

// outName returns the file to write, which must have one of the endings and be free, unless force is given.
func (a *app) outName(args []string, force bool, endings ...string) (string, error) {
	want := strings.Join(endings, " or ")
	switch {
	case len(args) != 1 || args[0] == "":
		got := "none"
		if len(args) > 1 {
			got = fmt.Sprintf("%d arguments", len(args))
		}
		return "", usagef("OUT", "want the name of one file to write, ending in %s, got %s", want, got)
	case !slices.Contains(endings, ending(args[0])):
		return "", usagef(args[0], "want a name that ends in %s", want)
	case a.common.quant != "none":
		return "", usagef("--quant", "want none, got %q (quantize OUT --type %s writes a quantized file)", a.common.quant, a.common.quant)
	}
	_, err := weights.Target(args[0], force)
	return args[0], saveFault(err)
}

// saveFault gives errors of writing a file their exit status.
func saveFault(err error) error {
	var s *weights.SaveError
	switch {
	case !errors.As(err, &s):
		return err
	case errors.Is(err, weights.ErrExists):
		return usagef(s.Path, "%w (--force replaces it)", s.Err)
	case errors.Is(err, weights.ErrNotFile):
		return usagef(s.Path, "%w", s.Err)
	}
	return &failure{statusFailed, s.Path, s.Err}
}

// exportGGUF returns m as a GGUF file with its vocabulary.
func (a *app) exportGGUF(m *load.Opened, types map[string]tensor.Type) (*convert.Export, error) {
	if err := convert.CheckGGUF(m.Model); err != nil {
		return nil, err // before an error about the vocabulary
	}
	tok, err := a.openTokenizer(m)
	if err != nil {
		return nil, err
	}
	switch tok.(type) {
	case *tokenizer.World, tokenizer.Bytes:
	default:
		return nil, inputf(m.File.Path, "want a World vocabulary, which is what GGUF holds for RWKV, got %s", tok.Name())
	}
	vocab := make([][]byte, tok.Size())
	for id := range vocab {
		vocab[id] = tok.Bytes(id)
	}
	return convert.GGUF(m.Model, convert.GGUFOptions{Vocab: vocab, Types: types})
}

// written is the answer of convert and quantize.
type written struct {
	Path        string         `json:"path"`
	Format      string         `json:"format"`
	Bytes       int64          `json:"bytes"`
	BytesBefore int            `json:"bytes_before"` // of the original model
	Tensors     int            `json:"tensors"`
	Types       map[string]int `json:"types"` // how many tensors are of each
	Notices     []string       `json:"notices"`
}

// writeModel opens the model and writes the file that export makes of it.
func (a *app) writeModel(ctx context.Context, out string, force bool, export func(*load.Opened) (*convert.Export, error)) (err error) {
	m, err := a.openModel()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	e, err := export(m)
	if err != nil {
		return blame(m.File.Path, err)
	}
	for _, n := range e.Notices {
		a.notice("%s", n)
	}
	progress, clearBar := a.progressOf(ctx, "writing")
	err = e.Save(out, force, progress)
	clearBar()
	if err != nil {
		return blame(m.File.Path, saveFault(err))
	}
	w := written{Path: out, Format: e.Format, Bytes: e.Size(), BytesBefore: m.File.Bytes(), Tensors: len(e.Tensors),
		Types: map[string]int{}, Notices: append([]string{}, e.Notices...)}
	counts := tensor.Counts{}
	for i := range e.Tensors {
		counts[e.Tensors[i].As]++
		w.Types[e.Tensors[i].As.String()]++
	}
	if a.common.json {
		return a.writeJSON(w)
	}
	return a.printf("%s: %s, %s: %s; %s, %s before\n", out, w.Format, words.Plural(w.Tensors, "tensor"), counts,
		words.Size(uint64(w.Bytes)), words.Size(uint64(w.BytesBefore)))
}
