package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	anthropic "github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
)

// anthropics returns Anthropic's own client for a server.
func (s *served) anthropics(key string) anthropic.Client {
	return anthropic.NewClient(option.WithBaseURL(s.URL), option.WithAPIKey(key), option.WithMaxRetries(0))
}

// both sends a message whole and as a stream, and checks that both answers are the same.
func both(t *testing.T, c anthropic.MessageService, p anthropic.MessageNewParams) *anthropic.Message {
	t.Helper()
	whole, err := c.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	stream, sum := c.NewStreaming(t.Context(), p), anthropic.Message{}
	var kinds []string
	for stream.Next() {
		event := stream.Current()
		kinds = append(kinds, event.Type)
		if err := sum.Accumulate(event); err != nil {
			t.Fatalf("%v: %s", err, event.RawJSON())
		}
		if u := event.AsMessageDelta().Usage; event.Type == "message_delta" && (u.InputTokens != whole.Usage.InputTokens || u.OutputTokens != whole.Usage.OutputTokens) {
			t.Errorf("usage of the stream %s, of the whole %s", u.RawJSON(), whole.Usage.RawJSON())
		}
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	if n := len(kinds); n < 3 || kinds[0] != "message_start" || kinds[n-2] != "message_delta" || kinds[n-1] != "message_stop" {
		t.Errorf("events %q", kinds)
	}
	if sum.StopReason != whole.StopReason || sum.StopSequence != whole.StopSequence || len(sum.Content) != len(whole.Content) {
		t.Fatalf("stream %s, whole %s", sum.RawJSON(), whole.RawJSON())
	}
	for i, b := range whole.Content {
		got := sum.Content[i]
		if got.Type != b.Type || got.Text != b.Text || got.Thinking != b.Thinking || got.Name != b.Name || string(got.Input) != string(b.Input) {
			t.Errorf("block %d: stream %s, whole %s", i, got.RawJSON(), b.RawJSON())
		}
	}
	return whole
}

func userSays(blocks ...anthropic.ContentBlockParamUnion) anthropic.MessageParam {
	return anthropic.NewUserMessage(blocks...)
}

func TestMessages(t *testing.T) {
	hi := userSays(anthropic.NewTextBlock("Hi"))
	weather := anthropic.ToolUnionParamOfTool(anthropic.ToolInputSchemaParam{Properties: map[string]any{"city": map[string]string{"type": "string"}}}, "get_weather")
	const call = "```json\n{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Oslo\"}}\n```"
	for _, c := range []struct {
		name, answer, prompt string
		p                    anthropic.MessageNewParams
		blocks               string // types and texts
		reason, stop         string
	}{
		{"plain", " Hello there.\n\nUser: more", "System: Be kind.\nAnd short.\n\nUser: Hi\n\nAssistant:", anthropic.MessageNewParams{
			System: []anthropic.TextBlockParam{{Text: "Be kind."}, {Text: "And short."}}, Messages: []anthropic.MessageParam{hi}}, "text Hello there.", "end_turn", ""},
		{"length", " one two three", "User: Hi\n\nAssistant:", anthropic.MessageNewParams{MaxTokens: 1, Messages: []anthropic.MessageParam{hi}}, "text one", "max_tokens", ""},
		{"stop", " one two three", "", anthropic.MessageNewParams{StopSequences: []string{" three"}, Messages: []anthropic.MessageParam{hi}}, "text one two", "stop_sequence", " three"},
		{"thought", ">\nA greeting.\n</think>\n\nHello!", "User: Hi (think a bit)\n\nAssistant: <think", anthropic.MessageNewParams{
			Thinking: anthropic.ThinkingConfigParamOfEnabled(99), Messages: []anthropic.MessageParam{hi}}, "thinking A greeting.\n|text Hello!", "end_turn", ""},
		{"tool", " Let me see.\n" + call + "\n", "", anthropic.MessageNewParams{Tools: []anthropic.ToolUnionParam{weather}, Messages: []anthropic.MessageParam{hi}},
			`text Let me see.|tool_use get_weather {"city":"Oslo"}`, "tool_use", ""},
		{"forced tool", "\n{\"name\":\"get_weather\",\"arguments\":{}}\n```", "", anthropic.MessageNewParams{Tools: []anthropic.ToolUnionParam{weather},
			ToolChoice: anthropic.ToolChoiceParamOfTool("get_weather"), Messages: []anthropic.MessageParam{hi}}, "tool_use get_weather {}", "tool_use", ""},
		{"results", " Warm.", "User: Hi\n\nAssistant: Let me see.\n```json\n{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Oslo\"}}\n```\n\n" +
			"User: Function output:\n21 degrees\n\nUser: Is that warm?\n\nAssistant:", anthropic.MessageNewParams{Messages: []anthropic.MessageParam{hi,
			anthropic.NewAssistantMessage(anthropic.NewThinkingBlock("", "Oslo."), anthropic.NewTextBlock("Let me see."), anthropic.NewToolUseBlock("toolu_1", map[string]string{"city": "Oslo"}, "get_weather")),
			userSays(anthropic.NewToolResultBlock("toolu_1", "21 degrees", false), anthropic.NewTextBlock("Is that warm?"))}}, "text Warm.", "end_turn", ""},
		{"begun", " two", "User: Hi\n\nAssistant: one", anthropic.MessageNewParams{Messages: []anthropic.MessageParam{hi, anthropic.NewAssistantMessage(anthropic.NewTextBlock("one"))}},
			"text two", "end_turn", ""},
		{"nothing", "", "", anthropic.MessageNewParams{Messages: []anthropic.MessageParam{hi}}, "", "end_turn", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := answers(t, c.answer)
			c.p.Model, c.p.MaxTokens = "rwkv-test", max(c.p.MaxTokens, 1)
			if c.reason != "max_tokens" {
				c.p.MaxTokens = 100
			}
			official := s.anthropics("none")
			got := both(t, official.Messages, c.p)
			var blocks []string
			for _, b := range got.Content {
				text := b.Type + " " + strings.TrimLeft(b.Text+b.Thinking, " ")
				if b.Type == "tool_use" {
					text += b.Name + " " + string(b.Input)
				}
				blocks = append(blocks, text)
			}
			if have := strings.Join(blocks, "|"); have != c.blocks || string(got.StopReason) != c.reason || got.StopSequence != c.stop {
				t.Errorf("%q, %s, %q: %s", have, got.StopReason, got.StopSequence, got.RawJSON())
			}
			if text := segmentsText(s.model.Asked()[0]); c.prompt != "" && text != c.prompt {
				t.Errorf("prompt %q", text)
			}
			count, err := official.Messages.CountTokens(t.Context(), anthropic.MessageCountTokensParams{Model: "rwkv-test", Messages: c.p.Messages})
			if u := got.Usage; err != nil || u.InputTokens == 0 || c.name == "length" && count.InputTokens != u.InputTokens {
				t.Errorf("%d tokens counted, %s (%v)", count.InputTokens, u.RawJSON(), err)
			}
		})
	}
}

// How long the model thinks is what its budget says, or that it is to think, or that it is not.
func TestMessagesThinking(t *testing.T) {
	s := answers(t, "x")
	for thinking, ending := range map[string]string{
		`{"type":"disabled"}`: "Assistant: <think></think",
		`{"type":"adaptive"}`: "User: Hi\n\nAssistant: <think",
		`{"type":"adaptive"},"output_config":{"effort":"low"}`:  "User: Hi (think a bit)\n\nAssistant: <think",
		`{"type":"adaptive"},"output_config":{"effort":"high"}`: "User: Hi\n\nAssistant: <think",
		`{"type":"adaptive"},"output_config":{"effort":"max"}`:  "User: Hi (think a lot)\n\nAssistant: <think",
		`{"type":"enabled","budget_tokens":1024}`:               "User: Hi (think a bit)\n\nAssistant: <think",
		`{"type":"enabled","budget_tokens":8000}`:               "User: Hi\n\nAssistant: <think",
		`{"type":"enabled","budget_tokens":100000}`:             "User: Hi (think a lot)\n\nAssistant: <think",
		`null`: "User: Hi\n\nAssistant:",
	} {
		status, _, body := s.call(t, "POST", "/v1/messages", fmt.Sprintf(`{"max_tokens":200000,"messages":[{"role":"user","content":"Hi"}],"thinking":%s}`, thinking))
		asked := s.model.Asked()
		if text := segmentsText(asked[len(asked)-1]); status != 200 || !strings.HasSuffix(text, ending) || asked[len(asked)-1].Max != 1000 {
			t.Errorf("%s: %q; %d %s", thinking, text, status, body)
		}
	}
}

func TestBadMessages(t *testing.T) {
	s := answers(t, "x")
	const good = `"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]`
	content := func(role, block string) string {
		return fmt.Sprintf(`{"max_tokens":9,"messages":[{"role":"user","content":"Hi"},{"role":%q,"content":[%s]}]}`, role, block)
	}
	for body, part := range map[string]string{
		`{"messages":[{"role":"user","content":"Hi"}]}`:                        "max_tokens: missing",
		`{"max_tokens":0,"messages":[]}`:                                       "messages: missing",
		`{"max_tokens":0,"messages":[{"role":"user","content":1}]}`:            "messages[0].content: want a string or a list of blocks, got a number",
		`{"max_tokens":0,"messages":[{"role":"user"}]}`:                        "messages[0].content: missing",
		`{"max_tokens":0,"messages":[{"role":"tool","content":"x"}]}`:          "messages[0].role: want user or assistant",
		content("user", `{"type":"image"}`):                                    "messages[1].content[0].type: want text or tool_result",
		content("user", `{"type":"tool_result","content":[{"type":"image"}]}`): "messages[1].content[0].content[0].type: want text",
		content("assistant", `{"type":"tool_use","input":{}}`):                 "messages[1].content[0].name: want a name",
		content("assistant", `{"type":"tool_use","name":"x"}`):                 "messages[1].content[0].input: want an object, got none",
		content("assistant", `{"type":"image"}`):                               "messages[1].content[0].type: want text, thinking",
		`{` + good + `,"system":[{"type":"image"}]}`:                           "system[0].type: want text",
		`{` + good + `,"max_tokens":1}`:                                        "duplicate",
		`{` + good + `,"temperature":-1}`:                                      "temperature: want a number",
		`{` + good + `,"stop_sequences":[""]}`:                                 "stop_sequences[0]",
		`{` + good + `,"tools":[{"type":"bash_1","name":"x"}]}`:                "tools[0].type: want custom",
		`{` + good + `,"tools":[{"name":"x","input_schema":{"type":"object","contentEncoding":3,"properties":{"a":{"type":"x"}}}}],"tool_choice":{"type":"any"}}`: "tools[0].input_schema: at ",
		`{` + good + `,"tools":[{"name":""}]}`:                                                                                             "tools[0].name: want a name",
		`{` + good + `,"tools":[{"name":"x","input_schema":3}]}`:                                                                           "tools[0].input_schema: want an object",
		`{` + good + `,"tool_choice":{"type":"x"}}`:                                                                                        "tool_choice.type: want auto",
		`{` + good + `,"tool_choice":{"type":"tool"}}`:                                                                                     "tool_choice.name: missing",
		`{` + good + `,"tool_choice":{"type":"any"}}`:                                                                                      "tools: want at least one",
		`{` + good + `,"output_config":{"effort":"x"}}`:                                                                                    "output_config.effort: want low",
		`{` + good + `,"output_config":{"format":{"type":"x"}}}`:                                                                           "output_config.format.type: want json_schema",
		`{` + good + `,"output_config":{"format":{"type":"json_schema"}}}`:                                                                 "output_config.format.schema: missing",
		`{` + good + `,"output_config":{"format":{"type":"json_schema","schema":{"type":"x"}}}}`:                                           "output_config.format.schema: at ",
		`{` + good + `,"output_config":{"format":{"type":"json_schema","schema":{}}},"tools":[{"name":"x"}],"tool_choice":{"type":"any"}}`: "output_config.format: want none beside tool_choice",
		`{` + good + `,"thinking":{"type":"x"}}`:                                                                                           "thinking.type: want enabled",
		`{` + good + `,"thinking":{"type":"enabled"}}`:                                                                                     "thinking.budget_tokens: missing",
		`{` + good + `,"thinking":{"type":"enabled","budget_tokens":9}}`:                                                                   "thinking.budget_tokens: want an integer from 1 to 8",
		`{` + good + `,"template":"raven","thinking":{"type":"adaptive"}}`:                                                                 "thinking: want off",
	} {
		status, head, got := s.call(t, "POST", "/v1/messages", body)
		wantFault(t, body, head.Get("Request-Id"), status, 400, got, "invalid_request_error", part)
	}
	if n := len(s.model.Asked()); n != 0 {
		t.Errorf("the model was asked %d times", n)
	}
}

// wantFault checks an error in Anthropic's form.
func wantFault(t *testing.T, what, id string, status, wanted int, body, kind, part string) {
	t.Helper()
	var e struct {
		Type      string
		RequestID string `json:"request_id"`
		Error     struct{ Type, Message string }
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil || status != wanted || e.Type != "error" || e.Error.Type != kind || !strings.Contains(e.Error.Message, part) || e.RequestID == "" || e.RequestID != id {
		t.Errorf("%s: want %d %s %q, got %d: %s (%v)", what, wanted, kind, part, status, body, err)
	}
}

// Errors of the server are in the protocol's form, also in the middle of a stream.
func TestMessagesFaults(t *testing.T) {
	fail := error(nil)
	s := serve(t, func(o *server.Options, m *scripted.Model, _ *chat.Options) {
		m.Fail = func(*api.Request) error { return fail }
		o.Timeout = time.Second // in which a busy machine, too, gets to the model
		m.Pause = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		if err := o.Keys.Add("ann", "key-a"); err != nil {
			t.Fatal(err)
		}
	})
	hi := anthropic.MessageNewParams{Model: "rwkv-test", MaxTokens: 9, Messages: []anthropic.MessageParam{userSays(anthropic.NewTextBlock("Hi"))}}
	for _, c := range []struct {
		err        error
		key        string
		model      anthropic.Model
		status     int
		kind, part string
	}{
		{nil, "key-b", "rwkv-test", 401, "authentication_error", "key"},
		{nil, "key-a", "other", 404, "not_found_error", `no "other"`},
		{api.ErrBusy, "key-a", "rwkv-test", 429, "rate_limit_error", "too many"},
		{api.ErrDevice, "key-a", "rwkv-test", 503, "overloaded_error", "device"},
		{errors.New("a private text"), "key-a", "rwkv-test", 500, "api_error", "log says more"},
		{nil, "key-a", "rwkv-test", 504, "timeout_error", "longer"},
	} {
		fail, hi.Model = c.err, c.model
		client := s.anthropics(c.key)
		_, err := client.Messages.New(t.Context(), hi)
		var e *anthropic.Error
		if !errors.As(err, &e) || e.StatusCode != c.status || e.RequestID == "" {
			t.Errorf("%v: %v", c, err)
			continue
		}
		wantFault(t, fmt.Sprint(c), e.RequestID, e.StatusCode, c.status, e.RawJSON(), c.kind, c.part)
	}
	client := s.anthropics("key-a")
	stream := client.Messages.NewStreaming(t.Context(), hi)
	n := 0
	for stream.Next() {
		n++
	}
	if err := stream.Err(); err == nil || !strings.Contains(err.Error(), "timeout_error") || n != 1 {
		t.Errorf("a stream that takes too long: %d events, %v", n, err)
	}
}

// Nothing comes for a while, and the stream says that it is alive.
func TestMessagesPing(t *testing.T) {
	goOn := make(chan struct{})
	s := serve(t, func(_ *server.Options, m *scripted.Model, p *chat.Options) {
		p.Ping = 10 * time.Millisecond
		m.Pause = func(context.Context) error { <-goOn; return nil }
	})
	r, err := http.Post(s.URL+"/v1/messages", "", strings.NewReader(`{"stream":true,"max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	lines := bufio.NewReader(r.Body)
	for line := ""; line != "event: ping\n"; {
		if line, err = lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	close(goOn)
	rest, err := io.ReadAll(lines)
	if err != nil || !strings.HasPrefix(string(rest), "data: {\"type\":\"ping\"}\n\n") || !strings.HasSuffix(string(rest), "data: {\"type\":\"message_stop\"}\n\n") {
		t.Errorf("got %q (%v)", rest, err)
	}
}
