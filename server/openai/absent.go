package openai

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// absent is a field of the protocol that asks for what this server does not have.
type absent struct {
	name string
	sent jsontext.Value
	want string
}

// refuse returns the error of the first field that asks for something.
func refuse(list ...absent) *wire.Error {
	for _, f := range list {
		if len(f.sent) > 0 && f.sent.Kind() != 'n' {
			return wire.Wrong(f.name, f.want, wire.Kind(f.sent.Kind()))
		}
	}
	return nil
}

// StreamOptions say what a stream holds.
type StreamOptions struct {
	Usage       bool `json:"include_usage"`
	Obfuscation bool `json:"include_obfuscation"`
}

// check refuses what a stream cannot hold.
func (o *StreamOptions) check() *wire.Error {
	if o != nil && o.Obfuscation {
		return wire.Wrong("stream_options.include_obfuscation", "false, since events are as long as their text", "true")
	}
	return nil
}

// tier returns the service tier that an answer tells of: that of all requests, if the client asked for any.
func tier(sent *string) string {
	if sent == nil {
		return ""
	}
	return oneTier
}

const oneTier = "default"

// includeLogprobs asks how likely the tokens of the answer's text were.
const includeLogprobs = "message.output_text.logprobs"

// includable is what a client may ask a response to include besides. There is never anything of the others, since no tool
// of this server makes it, no message has it, and a thought is told of in plain text.
var includable = []string{"code_interpreter_call.outputs", "computer_call_output.output.image_url", "file_search_call.results",
	"message.input_image.image_url", includeLogprobs, "reasoning.encrypted_content", "web_search_call.action.sources", "web_search_call.results"}

// checkInclude checks the field include.
func checkInclude(list []string) *wire.Error {
	for i, name := range list {
		if !slices.Contains(includable, name) {
			return wire.Wrong(fmt.Sprintf("include[%d]", i), "one of "+strings.Join(includable, ", "), "another string")
		}
	}
	return nil
}

// checkQuery checks what the query of a kept response asks for.
func checkQuery(q url.Values) *wire.Error {
	for _, name := range []string{"stream", "starting_after"} {
		if v := q.Get(name); v != "" && !strings.EqualFold(v, "false") {
			return wire.Wrong(name, "none, since a kept response is told whole", "one")
		}
	}
	return checkInclude(slices.Concat(q["include"], q["include[]"]))
}
