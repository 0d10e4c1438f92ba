// Package prompt turns a conversation into the text that an RWKV model was trained on, and turns the text that the
// model writes back into an answer: content, reasoning and calls of tools. It knows no model, no tokenizer and no
// protocol.
//
// # To the model
//
// A [Dialect] is a way to write a conversation as text. [Choose] finds the dialect by what a model file tells, and
// [ByName] by its name. [Dialect.Render] writes messages as a [Prompt]: a list of segments, and the texts that end the
// answer.
//
//	choice := prompt.Choose(prompt.Model{Name: "rwkv7-g1h-7.2b-20260710-ctx10240.pth"})
//	messages, err := prompt.ParseMessages("messages", data) // as OpenAI's clients send them
//	p, err := choice.Dialect.Render(messages, prompt.Options{Date: choice.Date, Think: prompt.ThinkFree, Tools: tools})
//
// # Segments
//
// Each segment is to be encoded by itself. The World vocabulary has tokens of a sentence's end and a line's end, such
// as "。\n". In a text that is encoded as a whole such a token may span a message and the separator behind it. The ids
// of a conversation would then change when a turn is added, and no kept state would fit them. The ids of segments
// never change. Segments also say where states are worth keeping ([Mark]).
//
// # From the model
//
// [Prompt.Parser] returns a [Parser] for the answer. It takes the text in pieces, as the model draws it, and returns
// what is certain. Marks such as </think> have no tokens of their own, and a token may hold the end of one text and
// the beginning of the next. The parser therefore reads text and never ids, and how the text is cut changes nothing.
package prompt
