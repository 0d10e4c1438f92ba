package prompt

import (
	"fmt"
	"strings"
)

// Dialect is a way to write a conversation as text. A message is its header, Lead and its text, and Separator. The
// answer follows the header of an assistant.
type Dialect struct {
	Name  string
	About string // in a line, for people

	SystemHeader    string
	UserHeader      string
	AfterSystem     string // the header of users where the conversation has a system message; "" for UserHeader
	AssistantHeader string
	OutputHeader    string // of what a tool returned
	Lead            string // between header and text; it belongs to the text's segment
	Separator       string // between messages

	Thinks       bool      // reports whether models of the dialect know the modes of Think
	KeepsLines   bool      // reports whether answers keep their blank lines, which then end no turn
	Tools        ToolStyle // how tools are described and called
	ToolDialect  string    // the dialect that takes over where there are tools; "" for none
	Introduction []Message // what a conversation without a system message begins with

	// FillStart and FillMiddle stand before the suffix and the prefix of a text that is to be filled in; "" if models of
	// the dialect do not know how.
	FillStart, FillMiddle string

	// Stop holds the texts that end an answer. Such a text is no part of the answer, nor of what the next turn goes on
	// from: a state is kept after the ids before the text, which text.Writer.Covered counts, and never after ids of
	// the text itself. In the next turn Separator follows, in ids of its own.
	Stop []string
	// Preset is the name of the sampling settings that fit.
	Preset string
}

// ToolStyle says how tools are described and called.
type ToolStyle int

// Styles of tools.
const (
	NoTools       ToolStyle = iota
	JSONTools               // a line of JSON for each tool; a call is a fenced JSON object
	MarkdownTools           // a section of Markdown for each tool; a call is a fenced JSON object behind a title
)

// Paragraph is a text to stop at for models that answer in one paragraph: Raven and World up to RWKV-6, and those whose
// state is tuned for single turns. It ends the answers of other models too early.
const Paragraph = "\n\n"

// Names of dialects.
const (
	G1          = "g1"
	G1Markdown  = "g1-markdown"
	Bot         = "bot"
	Raven       = "raven"
	World       = "world"
	Instruction = "instruction"
)

// What models from G1c on were trained with to fill in a text (RWKV-LM, rwkv_lightning). The text before the gap stands
// last, so that a text that grows goes on from its state.
const fillStart, fillMiddle = flower + "prefix" + flower + flower + "suffix" + flower, flower + "middle" + flower

// flower parts what stands in the dialect Bot.
const flower = "✿"

// Auto is the name of no dialect, but of the choice by the model.
const Auto = "auto"

// dialects are those that are known. Sources: RWKV-LM (RWKV-v7/RWKV7-G1x-templates.txt) for g1; the chat templates of
// transformers-rwkv and vllm-rwkv for g1-markdown and bot; ChatRWKV for raven, world and instruction.
var dialects = []Dialect{
	{
		Name: G1, About: "RWKV-7 G1 and newer World models; tools as lines of JSON",
		SystemHeader: "System:", UserHeader: "User:", AssistantHeader: "Assistant:", OutputHeader: "User:",
		Lead: " ", Separator: "\n\n", Thinks: true, Tools: JSONTools,
		FillStart: fillStart, FillMiddle: fillMiddle,
		Stop: []string{"\n\nUser:", "\nUser:", "\n\nSystem:", "\n### User"}, Preset: "chat",
	},
	{
		Name: G1Markdown, About: "the same models, with Markdown headings; tools as sections of Markdown",
		SystemHeader: "### System", UserHeader: "### User", AssistantHeader: "### Assistant", OutputHeader: "### Tool Output",
		Lead: "\n", Separator: "\n", Thinks: true, KeepsLines: true, Tools: MarkdownTools,
		FillStart: fillStart, FillMiddle: fillMiddle,
		Stop: []string{"\n### User", "\n### System", "\n### Tool Output", "\nUser:"}, Preset: "chat",
	},
	{
		Name: Bot, About: "the newest G1 models, with flowers between the parts",
		SystemHeader: "System" + flower, UserHeader: "User" + flower, AssistantHeader: "Bot" + flower,
		Separator: flower + "\n", Thinks: true, KeepsLines: true, ToolDialect: G1Markdown,
		FillStart: fillStart, FillMiddle: fillMiddle, Stop: []string{flower}, Preset: "chat",
	},
	{
		Name: Raven, About: "RWKV-4 Raven: Bob asks, Alice answers",
		UserHeader: "Bob:", AssistantHeader: "Alice:", Lead: " ", Separator: "\n\n",
		Stop: []string{"\n\nBob:", "\nBob:"}, Preset: "chat",
	},
	{
		Name: World, About: "World models up to RWKV-6, with a turn of greetings before the first",
		SystemHeader: "System:", UserHeader: "User:", AssistantHeader: "Assistant:", Lead: " ", Separator: "\n\n",
		Introduction: []Message{{Role: User, Content: "hi"}, {Role: Assistant, Content: "Hi. I am your assistant and I will " +
			"provide expert full response in full details. Please feel free to ask any question and I will always answer it."}},
		Stop: []string{"\n\nUser:", "\nUser:", "\n\nSystem:"}, Preset: "chat",
	},
	{
		Name: Instruction, About: "World and Raven models for single tasks: instruction, input, response",
		SystemHeader: "Instruction:", UserHeader: "Instruction:", AfterSystem: "Input:", AssistantHeader: "Response:",
		Lead: " ", Separator: "\n\n",
		Stop: []string{"\n\nInstruction:", "\nInstruction:", "\n\nInput:", "\nInput:"}, Preset: "chat",
	},
}

// Dialects returns all dialects.
func Dialects() []*Dialect {
	list := make([]*Dialect, len(dialects))
	for i := range dialects {
		list[i] = &dialects[i]
	}
	return list
}

// ByName returns the dialect of a name. The error is a *FieldError of field.
func ByName(field, name string) (*Dialect, error) {
	names := []string{Auto}
	for _, d := range Dialects() {
		if d.Name == name {
			return d, nil
		}
		names = append(names, d.Name)
	}
	return nil, &FieldError{field, "one of " + strings.Join(names, ", "), fmt.Sprintf("%q", name)}
}

// named is ByName for the names in the table itself.
func named(name string) *Dialect {
	for i := range dialects {
		if dialects[i].Name == name {
			return &dialects[i]
		}
	}
	return nil
}
