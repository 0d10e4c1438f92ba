package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

const promptHelp = `Write messages as the text that the model is asked to go on with. FILE holds the messages as JSON, as OpenAI's
clients send them: a list, or a request with "messages" and maybe "tools". Without FILE, or with -, it is standard input.

The text is written in a template, the way in which a model was trained on conversations. Without --template the model
decides: by the chat template in its file, its name, its vocabulary and its version. With --json the text comes in
segments too, each with the tokens that it is encoded to by itself, and with the texts that end an answer.`

// promptFlags are the flags of prompt.
type promptFlags struct {
	template, think, tools string
	clean                  bool
}

// standardInput is the name of standard input in errors.
const standardInput = "standard input"

// promptAnswer is the answer of prompt --json.
type promptAnswer struct {
	Prompt   string          `json:"prompt"`
	Template string          `json:"template"`
	Think    prompt.Think    `json:"think"`
	Segments []promptSegment `json:"segments"`
	Stop     []string        `json:"stop"`
}

type promptSegment struct {
	Role   prompt.Role `json:"role"`
	Part   prompt.Part `json:"part"`
	Text   string      `json:"text"`
	Tokens []int       `json:"tokens"`
	Keep   bool        `json:"keep"` // reports whether the state behind the segment is worth keeping
}

func (a *app) promptCommand() *cobra.Command {
	var o promptFlags
	c := &cobra.Command{
		Use: "prompt [FILE|-]", Short: "Write messages as the text a model was trained on", Long: promptHelp, Args: oneFile,
		Example: `  rwkv-gpu prompt chat.json --model rwkv7-g1-0.1b.pth --think fast
  echo '[{"role":"user","content":"Hello!"}]' | rwkv-gpu prompt --template g1 --json`,
	}
	f := c.Flags()
	f.SortFlags = false
	templates := []string{prompt.Auto}
	for _, d := range prompt.Dialects() {
		templates = append(templates, d.Name)
	}
	f.StringVar(&o.template, "template", prompt.Auto, "`TEMPLATE`: "+strings.Join(templates, ", "))
	f.StringVar(&o.think, "think", string(prompt.ThinkOff), "`MODE`: off, fast (an empty thought), free, short or long")
	f.StringVar(&o.tools, "tools", "", "`FILE` with the tools that may be called, as JSON")
	f.BoolVar(&o.clean, "clean", true, "take blank lines out of messages, since they end turns in training")
	return a.command(c, func(ctx context.Context, args []string) error {
		if f.Changed("tools") && o.tools == "" {
			return usagef("--tools", "want a file, got an empty name")
		}
		return a.renderPrompt(ctx, args, &o)
	})
}

// oneFile refuses a second argument.
func oneFile(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usagef("argument", "want one file, got %d", len(args))
	}
	return nil
}

// renderPrompt writes the messages of a file.
func (a *app) renderPrompt(ctx context.Context, args []string, o *promptFlags) error {
	think, err := prompt.ParseThink("--think", o.think)
	if err != nil {
		return fieldUsage(err)
	}
	var dialect *prompt.Dialect
	if o.template != prompt.Auto {
		if dialect, err = prompt.ByName("--template", o.template); err != nil {
			return fieldUsage(err)
		}
	}
	m, err := a.openModel()
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }() // read only
	from := "-"
	if len(args) == 1 {
		from = args[0]
	}
	messages, tools, err := a.conversation(ctx, from)
	if err != nil {
		return err
	}
	if o.tools != "" {
		if tools, err = readTools(o.tools); err != nil {
			return err
		}
	}
	choice := chosen(m)
	if dialect == nil {
		dialect = choice.Dialect
	}
	p, err := dialect.Render(messages, prompt.Options{Think: think, Date: choice.Date, Tools: tools, Unclean: !o.clean})
	if err != nil {
		return o.blame(err, from)
	}
	return a.writePrompt(m, p)
}

// chosen returns the dialect of a model.
func chosen(m *load.Opened) prompt.Choice {
	return prompt.Choose(prompt.Model{Name: m.File.Path, Version: m.Version, Vocab: m.Vocab, Meta: m.File.Meta})
}

// writePrompt writes the text, or with --json all there is to know of it.
func (a *app) writePrompt(m *load.Opened, p *prompt.Prompt) error {
	if !a.common.json {
		text := p.Text()
		if isTerminal(a.stdout) {
			text += "\n"
		}
		return a.printf("%s", text)
	}
	tok, err := a.openTokenizer(m)
	if err != nil {
		return err
	}
	answer := promptAnswer{Prompt: p.Text(), Template: p.Dialect.Name, Think: p.Think, Stop: p.Stop}
	for _, s := range p.Segments {
		ids, err := tokenizer.Encode(tok, s.Text)
		if err != nil {
			return usagef("prompt", "%w", err)
		}
		answer.Segments = append(answer.Segments, promptSegment{s.Role, s.Part, s.Text, ids, s.End != prompt.NoMark})
	}
	return a.writeJSON(answer)
}

// conversation reads the messages, and tools if they come with them.
func (a *app) conversation(ctx context.Context, path string) (messages []prompt.Message, tools []prompt.Tool, err error) {
	var data []byte
	name := path
	if path == "-" {
		name = standardInput
		data, err = a.text(ctx, path)
	} else {
		data, err = readInput(path)
	}
	if err != nil {
		return nil, nil, err
	}
	list, listed := data, json.RawMessage(nil)
	if bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		var request struct {
			Messages, Tools json.RawMessage
		}
		if err := json.Unmarshal(data, &request); err != nil {
			return nil, nil, inputf(name, "want JSON, got an error: %w", err)
		}
		list, listed = request.Messages, request.Tools
	}
	if messages, err = prompt.ParseMessages("messages", list); err != nil {
		return nil, nil, inputf(name, "%w", err)
	}
	if listed != nil && string(listed) != "null" {
		if tools, err = prompt.ParseTools("tools", listed); err != nil {
			return nil, nil, inputf(name, "%w", err)
		}
	}
	return messages, tools, nil
}

// readTools reads the list of tools in a file.
func readTools(path string) ([]prompt.Tool, error) {
	data, err := readInput(path)
	if err != nil {
		return nil, err
	}
	tools, err := prompt.ParseTools("tools", data)
	if err != nil {
		return nil, inputf(path, "%w", err)
	}
	return tools, nil
}

// readInput reads a file of the user's.
func readInput(path string) ([]byte, error) {
	data, err := files.Read(path, maxText)
	return data, blame(path, err)
}

// blame says which flag or file is at fault for what a template cannot write.
func (o *promptFlags) blame(err error, from string) error {
	var field *prompt.FieldError
	if errors.As(err, &field) && (field.Field == "think" || field.Field == "tools" && o.tools != "") {
		return usagef("--"+field.Field, "want %s, got %s", field.Want, field.Got)
	}
	if from == "-" {
		from = standardInput
	}
	return inputf(from, "%w", err)
}

// fieldUsage makes an error of a field one of the flag of that name.
func fieldUsage(err error) error {
	var field *prompt.FieldError
	if errors.As(err, &field) {
		return usagef(field.Field, "want %s, got %s", field.Want, field.Got)
	}
	return err
}
