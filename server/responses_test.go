package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	client "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/responses"

	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
)

// outputOf writes the items of a response in short: their types and what they hold.
func outputOf(r *responses.Response) string {
	var items []string
	for _, item := range r.Output {
		text := item.Type
		for _, part := range item.Content {
			text += " " + part.Type + " " + part.Text
		}
		if item.Type == "function_call" {
			text += " " + item.Name + " " + item.Arguments.OfString
		}
		items = append(items, text)
	}
	return strings.Join(items, "|")
}

// streamed plays the events of a response, and checks that they tell the same as the response at the end.
func streamed(t *testing.T, c client.Client, p responses.ResponseNewParams) *responses.Response {
	t.Helper()
	stream := c.Responses.NewStreaming(t.Context(), p)
	var last *responses.Response
	var items []string
	for n := int64(0); stream.Next(); n++ {
		e := stream.Current()
		if e.SequenceNumber != n || n == 0 && e.Type != "response.created" || n == 1 && e.Type != "response.in_progress" || last != nil {
			t.Errorf("event %d: %s", n, e.RawJSON())
		}
		if i := int(e.OutputIndex); strings.Contains(e.Type, "output_text") && (i != len(items)-1 || e.ItemID == "") {
			t.Errorf("event %d is not of the last item: %s", n, e.RawJSON())
		}
		switch e.Type {
		case "response.output_item.added":
			text := e.Item.Type
			if e.Item.Type == "function_call" {
				text += " " + e.Item.Name + " "
			}
			items = append(items, text)
		case "response.content_part.added":
			items[len(items)-1] += " " + e.Part.Type + " "
		case "response.output_text.delta", "response.reasoning_text.delta", "response.function_call_arguments.delta":
			items[len(items)-1] += e.Delta
		case "response.output_text.done", "response.reasoning_text.done":
			if !strings.HasSuffix(items[len(items)-1], e.Text) {
				t.Errorf("%q ends as %q", items[len(items)-1], e.Text)
			}
		case "response.function_call_arguments.done":
			if !strings.HasSuffix(items[len(items)-1], e.Arguments) {
				t.Errorf("%q ends as %q", items[len(items)-1], e.Arguments)
			}
		case "response.completed", "response.incomplete", "response.failed":
			last = &e.Response
		}
	}
	if err := stream.Err(); err != nil || last == nil {
		t.Fatalf("no end: %v", err)
	}
	if got := strings.Join(items, "|"); got != outputOf(last) {
		t.Errorf("the events tell %q, the response %q", got, outputOf(last))
	}
	return last
}

func input(items ...responses.ResponseInputItemUnionParam) responses.ResponseNewParamsInputUnion {
	return responses.ResponseNewParamsInputUnion{OfInputItemList: items}
}

func TestResponses(t *testing.T) {
	hi := responses.ResponseNewParamsInputUnion{OfString: client.String("Hi")}
	weather := responses.ToolParamOfFunction("get_weather", map[string]any{"type": "object", "properties": map[string]any{"city": map[string]string{"type": "string"}}}, false)
	for _, c := range []struct {
		name, answer, prompt string
		p                    responses.ResponseNewParams
		output, status       string
	}{
		{"plain", " Hello there.\n\nUser: more", "System: Be kind.\n\nUser: Hi\n\nAssistant:", responses.ResponseNewParams{Input: hi, Instructions: client.String("Be kind.")},
			"message output_text Hello there.", "completed"},
		{"length", " one two three", "User: Hi\n\nAssistant:", responses.ResponseNewParams{Input: hi, MaxOutputTokens: client.Int(1)}, "message output_text one", "incomplete"},
		{"items", " Yes.", "System: Be kind.\n\nUser: Hi\n\nAssistant: Hello\n\nUser: Go on\n\nAssistant:", responses.ResponseNewParams{Input: input(
			responses.ResponseInputItemParamOfMessage("Be kind.", "developer"), responses.ResponseInputItemParamOfMessage("Hi", "user"),
			responses.ResponseInputItemParamOfReasoning("rs_1", nil),
			responses.ResponseInputItemParamOfOutputMessage([]responses.ResponseOutputMessageContentUnionParam{{OfOutputText: &responses.ResponseOutputTextParam{Text: "Hello"}}}, "msg_1", "completed"),
			responses.ResponseInputItemParamOfMessage(responses.ResponseInputMessageContentListParam{responses.ResponseInputContentParamOfInputText("Go on")}, "user"))},
			"message output_text Yes.", "completed"},
		{"thought", ">\nA greeting.\n</think>\n\nHello!", "User: Hi (think a bit)\n\nAssistant: <think", responses.ResponseNewParams{Input: hi, Reasoning: client.ReasoningParam{Effort: "low"}},
			"reasoning reasoning_text A greeting.\n|message output_text Hello!", "completed"},
		{"tool", " Let me see.\n```json\n{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Oslo\"}}\n```", "", responses.ResponseNewParams{Input: hi, Tools: []responses.ToolUnionParam{weather}},
			`message output_text Let me see.|function_call get_weather {"city":"Oslo"}`, "completed"},
		{"forced tool", "\n{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Oslo\"}}\n```", "", responses.ResponseNewParams{Input: hi, Tools: []responses.ToolUnionParam{weather},
			ToolChoice: responses.ResponseNewParamsToolChoiceUnion{OfFunctionTool: &responses.ToolChoiceFunctionParam{Name: "get_weather"}}},
			`function_call get_weather {"city":"Oslo"}`, "completed"},
		{"results", " Warm.", "User: Hi\n\nAssistant: ```json\n{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Oslo\"}}\n```\n\nUser: Function output:\n21 degrees\n\nAssistant:",
			responses.ResponseNewParams{Input: input(responses.ResponseInputItemParamOfMessage("Hi", "user"), responses.ResponseInputItemParamOfFunctionCall(`{"city":"Oslo"}`, "call_1", "get_weather"),
				responses.ResponseInputItemParamOfFunctionCallOutput("call_1", "21 degrees"))}, "message output_text Warm.", "completed"},
		{"nothing", "", "", responses.ResponseNewParams{Input: hi}, "", "completed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := answers(t, c.answer)
			api := s.official()
			c.p.Model = "rwkv-test"
			whole, err := api.Responses.New(t.Context(), c.p)
			if err != nil {
				t.Fatal(err)
			}
			kept, err := api.Responses.Get(t.Context(), whole.ID, responses.ResponseGetParams{})
			if err != nil || kept.RawJSON() != whole.RawJSON() {
				t.Errorf("kept %s, was %s (%v)", kept.RawJSON(), whole.RawJSON(), err)
			}
			for how, got := range map[string]*responses.Response{"whole": whole, "stream": streamed(t, api, c.p)} {
				if outputOf(got) != c.output || string(got.Status) != c.status || (got.IncompleteDetails.Reason == "max_output_tokens") != (c.status == "incomplete") {
					t.Errorf("%s: %q, %s: %s", how, outputOf(got), got.Status, got.RawJSON())
				}
				u := got.Usage
				if u.InputTokens == 0 || u.TotalTokens != u.InputTokens+u.OutputTokens || (u.OutputTokensDetails.ReasoningTokens > 0) != (c.name == "thought") {
					t.Errorf("%s: %s", how, u.RawJSON())
				}
			}
			if text := segmentsText(s.model.Asked()[0]); c.prompt != "" && text != c.prompt {
				t.Errorf("prompt %q", text)
			}
		})
	}
}

// A response tells how likely the tokens of its text were if that is included: those of the text alone, whole and in events,
// and as the chat of the same answer does. It is kept with them.
func TestResponseLogprobs(t *testing.T) {
	for answer, text := range map[string]string{" Hello there.\n\nUser: more": "Hello there.", ">\nThe text is Hello.\n</think>\n\nHello.": "Hello."} {
		s := answers(t, answer)
		api := s.official()
		p := responses.ResponseNewParams{Input: responses.ResponseNewParamsInputUnion{OfString: client.String("Hi")}, TopLogprobs: client.Int(2),
			Include: []responses.ResponseIncludable{responses.ResponseIncludableMessageOutputTextLogprobs}}
		if strings.Contains(answer, "think") {
			p.Reasoning.Effort = "low"
		}
		whole, err := api.Responses.New(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := api.Responses.Get(t.Context(), whole.ID, responses.ResponseGetParams{Include: p.Include})
		if err != nil || kept.RawJSON() != whole.RawJSON() || whole.JSON.TopLogprobs.Raw() != "2" {
			t.Errorf("kept %s, was %s (%v)", kept.RawJSON(), whole.RawJSON(), err)
		}
		var pieces, all string // of the stream
		stream := api.Responses.NewStreaming(t.Context(), p)
		for stream.Next() {
			switch e := stream.Current().AsAny().(type) {
			case responses.ResponseTextDeltaEvent:
				for _, l := range e.Logprobs {
					pieces += fmt.Sprintf("%q %v %v ", l.Token, l.Logprob, l.TopLogprobs[1].Logprob)
				}
			case responses.ResponseTextDoneEvent:
				for _, l := range e.Logprobs {
					all += fmt.Sprintf("%q %v %v ", l.Token, l.Logprob, l.TopLogprobs[1].Logprob)
				}
			}
		}
		if err := stream.Err(); err != nil {
			t.Fatal(err)
		}
		var told, spelt string
		for _, item := range whole.Output {
			for _, part := range item.Content {
				for _, l := range part.Logprobs {
					if len(l.TopLogprobs) != 2 || l.TopLogprobs[0].Token != l.Token || l.TopLogprobs[0].Logprob != l.Logprob || len(l.Bytes) != len(l.Token) {
						t.Errorf("%s", l.RawJSON())
					}
					told, spelt = told+fmt.Sprintf("%q %v %v ", l.Token, l.Logprob, l.TopLogprobs[1].Logprob), spelt+l.Token
				}
			}
		}
		if strings.TrimSpace(spelt) != text || told != pieces || told != all {
			t.Errorf("the tokens spell %q, want %q: %s; in events %s; at their end %s", spelt, text, told, pieces, all)
		}
		chat, err := api.Chat.Completions.New(t.Context(), client.ChatCompletionNewParams{Messages: []client.ChatCompletionMessageParamUnion{client.UserMessage("Hi")},
			Logprobs: client.Bool(true), TopLogprobs: client.Int(2), ReasoningEffort: p.Reasoning.Effort})
		if err != nil {
			t.Fatal(err)
		}
		same := ""
		for _, l := range chat.Choices[0].Logprobs.Content {
			same += fmt.Sprintf("%q %v %v ", l.Token, l.Logprob, l.TopLogprobs[1].Logprob)
		}
		if !strings.Contains(same, told) || told == "" {
			t.Errorf("the response tells %s, the chat %s", told, same)
		}
		p.Include, p.TopLogprobs = nil, param.Opt[int64]{}
		items, err := api.Responses.InputItems.List(t.Context(), whole.ID, responses.InputItemListParams{})
		next := p
		next.PreviousResponseID = client.String(whole.ID)
		second, failed := api.Responses.New(t.Context(), next)
		if err != nil || failed != nil || len(items.Data) != 1 {
			t.Fatalf("%v, %v: %+v", err, failed, items)
		}
		_, _, list := s.call(t, "GET", "/v1/responses/"+second.ID+"/input_items", "")
		if strings.Contains(list, `"logprob"`) || strings.Contains(second.RawJSON(), `"logprob"`) || !strings.Contains(list, `"logprobs":[]`) {
			t.Errorf("told without being asked for: %s, %s", list, second.RawJSON())
		}
	}
}

// A response is gone on with by its id, for its user alone, until it is deleted.
func TestPreviousResponse(t *testing.T) {
	s := serve(t, func(o *server.Options, m *scripted.Model, _ *chat.Options) {
		for _, name := range []string{"ann", "bob"} {
			if err := o.Keys.Add(name, "key-"+name); err != nil {
				t.Fatal(err)
			}
		}
	})
	ann := client.NewClient(option.WithBaseURL(s.URL+"/v1"), option.WithAPIKey("key-ann"), option.WithMaxRetries(0))
	bob := client.NewClient(option.WithBaseURL(s.URL+"/v1"), option.WithAPIKey("key-bob"), option.WithMaxRetries(0))
	ask := func(text, previous string) responses.ResponseNewParams {
		p := responses.ResponseNewParams{Model: "rwkv-test", Input: responses.ResponseNewParamsInputUnion{OfString: client.String(text)}}
		if previous != "" {
			p.PreviousResponseID = client.String(previous)
		}
		return p
	}
	first := ask("Tell me of a fox.", "")
	first.Instructions = client.String("Be kind.")
	one, err := ann.Responses.New(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	two := streamed(t, ann, ask("Go on.", one.ID))
	three, err := ann.Responses.New(t.Context(), ask("And then?", two.ID))
	if err != nil {
		t.Fatal(err)
	}
	const answer = "there was a fox. The end"
	want := "User: Tell me of a fox.\n\nAssistant: " + answer + "\n\nUser: Go on.\n\nAssistant: " + answer + "\n\nUser: And then?\n\nAssistant:"
	if asked := s.model.Asked(); segmentsText(asked[2]) != want || asked[2].User != "ann" || three.PreviousResponseID != two.ID {
		t.Errorf("%q, after %q", segmentsText(asked[2]), three.PreviousResponseID)
	}
	count, err := ann.Responses.InputTokens.Count(t.Context(), responses.InputTokenCountParams{Model: client.String("rwkv-test"), PreviousResponseID: client.String(two.ID),
		Input: responses.InputTokenCountParamsInputUnion{OfString: client.String("And then?")}})
	if err != nil || count.InputTokens != three.Usage.InputTokens {
		t.Errorf("%d tokens counted, %d were (%v)", count.InputTokens, three.Usage.InputTokens, err)
	}
	unkept := ask("Hi", "")
	unkept.Store = client.Bool(false)
	lost, err := ann.Responses.New(t.Context(), unkept)
	if err != nil {
		t.Fatal(err)
	}
	gone := func(what string, err error) {
		t.Helper()
		var e *client.Error
		if !errors.As(err, &e) || e.StatusCode != 404 || e.Code != "response_not_found" {
			t.Errorf("%s: %v", what, err)
		}
	}
	tries := func(c client.Client, what, id string) {
		t.Helper()
		_, err := c.Responses.Get(t.Context(), id, responses.ResponseGetParams{})
		gone(what+", read", err)
		_, err = c.Responses.New(t.Context(), ask("Go on.", id))
		gone(what+", gone on with", err)
		gone(what+", deleted", c.Responses.Delete(t.Context(), id))
	}
	tries(bob, "another user's", one.ID)
	tries(ann, "one that was not kept", lost.ID)
	tries(ann, "none", "resp_1")
	// Clients may name an item of an earlier answer instead of sending it again.
	again := ask("", "")
	again.Input = input(responses.ResponseInputItemParamOfMessage("Hi", "user"), responses.ResponseInputItemParamOfItemReference(one.Output[0].ID), responses.ResponseInputItemParamOfMessage("Go on.", "user"))
	if _, err := ann.Responses.New(t.Context(), again); err != nil {
		t.Error(err)
	}
	if asked := s.model.Asked(); segmentsText(asked[len(asked)-1]) != "User: Hi\n\nAssistant: "+answer+"\n\nUser: Go on.\n\nAssistant:" {
		t.Errorf("%q", segmentsText(asked[len(asked)-1]))
	}
	var e *client.Error
	if _, err := bob.Responses.New(t.Context(), again); !errors.As(err, &e) || e.StatusCode != 404 || e.Code != "item_not_found" || e.Param != "input[1].id" {
		t.Errorf("another user's item: %v", err)
	}
	if err := ann.Responses.Delete(t.Context(), one.ID); err != nil {
		t.Error(err)
	}
	tries(ann, "a deleted one", one.ID)
	if _, err := ann.Responses.New(t.Context(), ask("Go on.", two.ID)); err != nil {
		t.Errorf("what followed a deleted one: %v", err)
	}
	if len(one.ID) < len("resp_")+22 { // 128 bits in base64
		t.Errorf("id %q", one.ID)
	}
}

func TestBadResponses(t *testing.T) {
	s := answers(t, "x")
	item := func(item string) string { return `{"input":[{"role":"user","content":"Hi"},` + item + `]}` }
	for body, want := range map[string]struct {
		status      int
		param, part string
	}{
		`{}`:                    {400, "input", "missing"},
		`{"input":[]}`:          {400, "input", "at least one"},
		`{"input":3}`:           {400, "input", "want a string or a list of items, got a number"},
		item(`{"role":"user"}`): {400, "input[1].content", "missing"},
		item(`{"role":"user","content":[{"type":"input_image"}]}`):                                                   {400, "input[1].content[0].type", "input_text"},
		item(`{"role":"x","content":"y"}`):                                                                           {400, "input[1].role", "developer"},
		item(`{"type":"web_search_call"}`):                                                                           {400, "input[1].type", "function_call"},
		item(`{"type":"function_call","arguments":"{}"}`):                                                            {400, "input[1].name", "want a name"},
		item(`{"type":"function_call","name":"x","arguments":"{}"}`):                                                 {400, "input", "an assistant's text"},
		item(`{"type":"function_call_output","output":[{"type":"input_file"}]}`):                                     {400, "input[1].output[0].type", "input_text"},
		`{"input":"Hi","model":"gpt"}`:                                                                               {404, "model", `no "gpt"`},
		`{"input":"Hi","max_output_tokens":0}`:                                                                       {400, "max_output_tokens", "from 1"},
		`{"input":"Hi","reasoning":{"effort":"x"}}`:                                                                  {400, "reasoning.effort", "low"},
		`{"input":"Hi","template":"raven","reasoning":{"effort":"low"}}`:                                             {400, "reasoning.effort", "off"},
		`{"input":"Hi","tools":[{"type":"web_search"}]}`:                                                             {400, "tools[0].type", "function"},
		`{"input":"Hi","tool_choice":"required"}`:                                                                    {400, "tools", "at least one"},
		`{"input":"Hi","background":true}`:                                                                           {400, "background", "false"},
		`{"input":"Hi","conversation":"conv_1"}`:                                                                     {400, "conversation", "previous_response_id"},
		`{"input":"Hi","prompt":{"id":"x"}}`:                                                                         {400, "prompt", "no templates"},
		`{"input":"Hi","top_logprobs":2}`:                                                                            {400, "top_logprobs", "none without message.output_text.logprobs in include"},
		`{"input":"Hi","text":{"format":{"type":"x"}}}`:                                                              {400, "text.format.type", "json_schema"},
		`{"input":"Hi","text":{"format":{"type":"json_schema"}}}`:                                                    {400, "text.format.schema", "missing"},
		`{"input":"Hi","text":{"format":{"type":"json_schema","schema":{"type":"x"}}}}`:                              {400, "text.format.schema", "at "},
		`{"input":"Hi","tools":[{"name":"x","type":"function","parameters":{"type":"x"}}],"tool_choice":"required"}`: {400, "tools[0].parameters", "at "},
	} {
		status, _, got := s.call(t, "POST", "/v1/responses", body)
		wantError(t, body, status, want.status, got, want.param, want.part)
	}
	if n := len(s.model.Asked()); n != 0 {
		t.Errorf("the model was asked %d times", n)
	}
}

// A response that fails in the middle says why, and is not kept.
func TestResponseFails(t *testing.T) {
	s := serve(t, func(o *server.Options, m *scripted.Model, _ *chat.Options) {
		o.Timeout = time.Second // in which a busy machine, too, gets to the model
		m.Pause = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	})
	status, _, body := s.call(t, "POST", "/v1/responses", `{"input":"Hi"}`)
	wantError(t, "whole", status, 504, body, "", "longer than this server allows")
	got := streamed(t, s.official(), responses.ResponseNewParams{Model: "rwkv-test", Input: responses.ResponseNewParamsInputUnion{OfString: client.String("Hi")}})
	if got.Status != "failed" || got.Error.Code != "timeout" {
		t.Errorf("%s", got.RawJSON())
	}
	if status, _, _ := s.call(t, "GET", "/v1/responses/"+got.ID, ""); status != 404 {
		t.Errorf("a failed response is kept: %d", status)
	}
}

// What a client sends is what the response shows.
func TestResponseShows(t *testing.T) {
	s := answers(t, "{}")
	_, _, body := s.call(t, "POST", "/v1/responses", `{"input":"Hi","temperature":0.25,"top_p":0.5,"metadata":{"a":"b"},"tool_choice":{"type":"function","name":"x"},
		"tools":[{"type":"function","name":"x","strict":true}],"parallel_tool_calls":false,"max_output_tokens":7,"store":false}`)
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"temperature": "0.25", "top_p": "0.5", "metadata": "map[a:b]", "tool_choice": "map[name:x type:function]",
		"tools": "[map[name:x strict:true type:function]]", "parallel_tool_calls": "false", "max_output_tokens": "7", "store": "false", "error": "<nil>",
		"text": "map[format:map[type:text]]", "reasoning": "map[effort:<nil> summary:<nil>]", "object": "response", "previous_response_id": "<nil>"} {
		if value, there := got[name]; fmt.Sprint(value) != want || !there {
			t.Errorf("%s: %v, want %s", name, got[name], want)
		}
	}
}
