package server_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	client "github.com/openai/openai-go/v3"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
)

// answers serves a model that always writes the same.
func answers(t *testing.T, answer string) *served {
	return serve(t, func(_ *server.Options, m *scripted.Model, _ *chat.Options) {
		m.Answer = func(*api.Request, string) (string, bool) { return answer, true }
	})
}

func segmentsText(r api.Request) (text string) {
	for _, s := range r.Segments {
		text += s.Text
	}
	return text
}

// A conversation reaches the model as its dialect writes it, and the answer comes back without the dialect's marks, whole
// and in a stream.
func TestChat(t *testing.T) {
	tool := client.ChatCompletionFunctionTool(client.FunctionDefinitionParam{Name: "get_weather", Parameters: client.FunctionParameters{"type": "object",
		"properties": map[string]any{"city": map[string]string{"type": "string"}}}})
	for _, c := range []struct {
		name, answer, prompt string
		p                    client.ChatCompletionNewParams
		content, reason      string
		call, arguments      string
	}{
		{"plain", " Hello there.\n\nUser: more", "System: Be kind.\n\nUser: Hi\n\nAssistant:", client.ChatCompletionNewParams{
			Messages: []client.ChatCompletionMessageParamUnion{client.SystemMessage("Be kind."), client.UserMessage("Hi")}}, "Hello there.", "stop", "", ""},
		{"length", " one two three", "User: Hi\n\nAssistant:", client.ChatCompletionNewParams{MaxCompletionTokens: client.Int(1),
			Messages: []client.ChatCompletionMessageParamUnion{client.UserMessage("Hi")}}, "one", "length", "", ""},
		{"stop", " one two three", "User: Hi\n\nAssistant:", client.ChatCompletionNewParams{Stop: client.ChatCompletionNewParamsStopUnion{OfStringArray: []string{" three"}},
			Messages: []client.ChatCompletionMessageParamUnion{client.UserMessage("Hi")}}, "one two", "stop", "", ""},
		{"tool", "\n{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Oslo\"}}\n```", "", client.ChatCompletionNewParams{Tools: []client.ChatCompletionToolUnionParam{tool},
			ToolChoice: client.ChatCompletionToolChoiceOptionUnionParam{OfAuto: client.String("required")},
			Messages:   []client.ChatCompletionMessageParamUnion{client.UserMessage("Weather in Oslo?")}}, "", "tool_calls", "get_weather", `{"city":"Oslo"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := answers(t, c.answer)
			api := s.official()
			c.p.Model = "rwkv-test"
			got, err := api.Chat.Completions.New(t.Context(), c.p)
			if err != nil {
				t.Fatal(err)
			}
			check := func(how string, got client.ChatCompletionChoice) {
				t.Helper()
				if got.Message.Content != c.content || got.FinishReason != c.reason {
					t.Errorf("%s: %q, %q", how, got.Message.Content, got.FinishReason)
				}
				if calls := got.Message.ToolCalls; c.call != "" && (len(calls) != 1 || calls[0].Function.Name != c.call || calls[0].Function.Arguments != c.arguments || calls[0].ID == "") {
					t.Errorf("%s: %+v", how, calls)
				}
			}
			check("whole", got.Choices[0])
			c.p.StreamOptions.IncludeUsage = client.Bool(true)
			stream, sum := api.Chat.Completions.NewStreaming(t.Context(), c.p), client.ChatCompletionAccumulator{}
			for stream.Next() {
				if !sum.AddChunk(stream.Current()) {
					t.Errorf("a piece that does not fit: %s", stream.Current().RawJSON())
				}
			}
			if err := stream.Err(); err != nil || len(sum.Choices) != 1 {
				t.Fatal(err)
			}
			check("stream", sum.Choices[0])
			if sum.Usage.TotalTokens != got.Usage.TotalTokens || sum.Usage.TotalTokens == 0 {
				t.Errorf("usage %+v, %+v", sum.Usage, got.Usage)
			}
			if text := segmentsText(s.model.Asked()[0]); c.prompt != "" && text != c.prompt {
				t.Errorf("prompt %q", text)
			}
		})
	}
}

// Thoughts are apart from the answer, by whichever field they are asked for.
func TestThinking(t *testing.T) {
	s := answers(t, ">\nIt is a greeting.\n</think>\n\nHello!")
	for fields, ending := range map[string]string{
		`"think":"free"`:                                  "Assistant: <think",
		`"reasoning_effort":"medium"`:                     "Assistant: <think",
		`"reasoning_effort":"low"`:                        "User: Hi (think a bit)\n\nAssistant: <think",
		`"chat_template_kwargs":{"enable_thinking":true}`: "Assistant: <think",
	} {
		for _, stream := range []bool{false, true} {
			_, _, body := s.call(t, "POST", "/v1/chat/completions", fmt.Sprintf(`{"messages":[{"role":"user","content":"Hi"}],"stream":%v,%s}`, stream, fields))
			content, reasoning := read(t, body, stream)
			ids, err := s.model.Tok.AppendEncode(nil, []byte(reasoning))
			if want := fmt.Sprintf(`"completion_tokens_details":{"reasoning_tokens":%d}`, len(ids)); err != nil || len(ids) == 0 || !stream && !strings.Contains(body, want) {
				t.Errorf("%s: want %s (%v): %s", fields, want, err, body)
			}
			if content != "Hello!" || reasoning != "It is a greeting.\n" && reasoning != "It is a greeting." {
				t.Errorf("%s, stream %v: %q, %q", fields, stream, content, reasoning)
			}
			if text := segmentsText(s.model.Asked()[len(s.model.Asked())-1]); !strings.HasSuffix(text, ending) {
				t.Errorf("%s: prompt %q", fields, text)
			}
		}
	}
}

// read joins what an answer says.
func read(t *testing.T, body string, stream bool) (content, reasoning string) {
	t.Helper()
	add := func(m *string) string {
		if m == nil {
			return ""
		}
		return *m
	}
	if !stream {
		var c openai.Chat
		if err := json.Unmarshal([]byte(body), &c); err != nil || len(c.Choices) == 0 {
			t.Fatalf("%v: %s", err, body)
		}
		return add(c.Choices[0].Message.Content), add(c.Choices[0].Message.Reasoning)
	}
	for event := range strings.SplitSeq(body, "\n\n") {
		data, found := strings.CutPrefix(event, "data: ")
		if !found || data == "[DONE]" {
			continue
		}
		var c openai.Chat
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		for _, choice := range c.Choices {
			content, reasoning = content+add(choice.Delta.Content), reasoning+add(choice.Delta.Reasoning)
		}
	}
	return content, reasoning
}

func TestChatLogprobs(t *testing.T) {
	s := answers(t, " one two")
	c := s.official()
	p := client.ChatCompletionNewParams{Model: "rwkv-test", Logprobs: client.Bool(true), TopLogprobs: client.Int(2),
		Messages: []client.ChatCompletionMessageParamUnion{client.UserMessage("Hi")}}
	got, err := c.Chat.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tok := range got.Choices[0].Logprobs.Content {
		names = append(names, tok.Token)
		if len(tok.TopLogprobs) != 2 || tok.TopLogprobs[0].Token != tok.Token || string(bytesOf(tok.Bytes)) != tok.Token {
			t.Errorf("%+v", tok)
		}
	}
	if want := []string{" one", " two"}; !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
	stream, n := c.Chat.Completions.NewStreaming(t.Context(), p), 0
	for stream.Next() {
		for _, choice := range stream.Current().Choices {
			n += len(choice.Logprobs.Content)
		}
	}
	if stream.Err() != nil || n != len(names) {
		t.Errorf("%d tokens in a stream, want %d (%v)", n, len(names), stream.Err())
	}
}

func bytesOf(list []int64) (b []byte) {
	for _, x := range list {
		b = append(b, byte(x))
	}
	return b
}

func TestBadChats(t *testing.T) {
	s := answers(t, "x")
	const messages = `"messages":[{"role":"user","content":"Hi"}]`
	for body, want := range map[string]struct {
		status      int
		param, part string
	}{
		`{}`:                             {400, "messages", "missing"},
		`{"messages":[]}`:                {400, "messages", "at least one"},
		`{"messages":{}}`:                {400, "messages", "a list"},
		`{"messages":[{"role":"user"}]}`: {400, "messages[0].content", "want"},
		`{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}`: {400, "messages[0].content[0].type", "want"},
		`{` + messages + `,"template":"x"}`:                               {400, "template", "want"},
		`{` + messages + `,"think":"x"}`:                                  {400, "think", "want"},
		`{` + messages + `,"reasoning_effort":"x"}`:                       {400, "reasoning_effort", "low"},
		`{` + messages + `,"tools":[{"type":"x"}]}`:                       {400, "tools[0].type", "want"},
		`{` + messages + `,"tool_choice":"x"}`:                            {400, "tool_choice", `"none"`},
		`{` + messages + `,"tools":[` + aTool + `],"tool_choice":{"type":"function","name":"x","function":{"name":"f"}},"n":0}`: {400, "n", "from 1"},
		`{` + messages + `,"tool_choice":{"type":"function"}}`:                                                                  {400, "tool_choice", `"none"`},
		`{` + messages + `,"top_logprobs":2}`:                                                                                   {400, "top_logprobs", "without logprobs"},
		`{` + messages + `,"max_tokens":0}`:                                                                                     {400, "max_tokens", "from 1"},
		`{` + messages + `,"presence_penalty":3}`:                                                                               {400, "presence_penalty", "from -2 to 2"},
	} {
		status, _, got := s.call(t, "POST", "/v1/chat/completions", body)
		wantError(t, body, status, want.status, got, want.param, want.part)
	}
}

// The settings of a chat that sends none are those of its dialect's preset.
func TestChatPreset(t *testing.T) {
	s := answers(t, "x")
	s.call(t, "POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"Hi"}]}`)
	d, err := prompt.ByName("template", prompt.G1)
	if err != nil {
		t.Fatal(err)
	}
	want, err := prompt.PresetByName("preset", d.Preset)
	if err != nil {
		t.Fatal(err)
	}
	if p := s.model.Asked()[0].Params; p.Temperature != want.Temperature || p.TopP != want.TopP || p.Presence != want.Presence || p.PenaltyDecay != want.PenaltyDecay {
		t.Errorf("%+v, want %+v", p, want)
	}
}
