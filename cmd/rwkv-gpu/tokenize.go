package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

const tokenizeHelp = `Turn TEXT, or with - all of standard input to the last byte, into token ids, or with --decode ids into text.

Text need not be UTF-8 here: every sequence of bytes has its ids, and they give the same bytes again.`

// decoded is the answer of tokenize --decode --json.
type decoded struct {
	Bytes []byte `json:"bytes"` // base64
	Text  string `json:"text"`
}

func (a *app) tokenizeCommand() *cobra.Command {
	var decode string
	c := &cobra.Command{
		Use: "tokenize [TEXT|-]", Short: "Turn text into token ids and back", Long: tokenizeHelp, Args: oneText,
		Example: `  rwkv-gpu tokenize "Once upon a time"
  rwkv-gpu tokenize --decode 1660,2383,275,2366`,
	}
	c.Flags().StringVar(&decode, "decode", "", "turn these `IDS` into text")
	return a.command(c, func(ctx context.Context, args []string) error {
		decoding := c.Flags().Changed("decode")
		if decoding == (len(args) == 1) {
			return usagef("text", "want either a text (- for standard input) or --decode, got %s", map[bool]string{true: "both", false: "none"}[decoding])
		}
		tok, err := a.vocabulary()
		if err != nil {
			return err
		}
		if decoding {
			return a.decode(tok, decode)
		}
		text, err := a.text(ctx, args[0])
		if err != nil {
			return err
		}
		ids, err := encode(tok, []int{}, text)
		if err != nil {
			return err
		}
		if a.common.json {
			return a.writeJSON(map[string][]int{"tokens": ids})
		}
		return a.printf("%s\n", formatTokens(ids))
	})
}

// vocabulary opens the tokenizer alone. If --model names a model, the tokenizer has to fit it.
func (a *app) vocabulary() (tokenizer.Tokenizer, error) {
	if a.common.model == "" {
		tok, err := load.Vocabulary(a.options())
		return tok, flagged(err)
	}
	m, err := a.openModel()
	if err != nil {
		return nil, err
	}
	defer func() { _ = m.Close() }() // read only
	return a.openTokenizer(m)
}

func (a *app) decode(tok tokenizer.Tokenizer, list string) error {
	ids, err := parseTokens("--decode", list)
	if err != nil {
		return err
	}
	if err := checkTokens("--decode", ids, tok.Size()); err != nil {
		return err
	}
	text := tokenizer.Decode(tok, ids)
	if a.common.json {
		return a.writeJSON(decoded{append([]byte{}, text...), tokenizer.Text(text)})
	}
	if isTerminal(a.stdout) {
		text = append(text, '\n')
	}
	return a.printf("%s", text)
}
