// Package client tests the server with OpenAI's client for Go.
package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/shared"
)

var (
	demo   = openai.NewClient(option.WithBaseURL(os.Getenv("RWKV_DEMO")+"/v1"), option.WithAPIKey("none"), option.WithMaxRetries(0))
	double = openai.NewClient(option.WithBaseURL(os.Getenv("RWKV_DOUBLE")+"/v1"), option.WithAPIKey(os.Getenv("RWKV_KEY")), option.WithMaxRetries(0))
)

// write returns the message that the scripted model answers with a text.
func write(text string) string {
	quoted, _ := json.Marshal(text) // a string has a form in JSON
	return "write " + string(quoted)
}

// says returns a chat of one message.
func says(text string) openai.ChatCompletionNewParams {
	return openai.ChatCompletionNewParams{Model: "double", Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(text)}}
}

// both asks for an answer whole and as a stream, checks that both are the same, and returns the choice.
func both(t *testing.T, p openai.ChatCompletionNewParams) openai.ChatCompletionChoice {
	t.Helper()
	whole, err := double.Chat.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	stream, sum := double.Chat.Completions.NewStreaming(t.Context(), p), openai.ChatCompletionAccumulator{}
	defer stream.Close()
	for stream.Next() {
		if !sum.AddChunk(stream.Current()) {
			t.Errorf("a piece that does not fit: %s", stream.Current().RawJSON())
		}
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	if len(sum.Choices) != 1 || len(whole.Choices) != 1 {
		t.Fatalf("%d choices in the stream, %d in the whole", len(sum.Choices), len(whole.Choices))
	}
	a, b := whole.Choices[0], sum.Choices[0]
	if a.Message.Content != b.Message.Content || a.FinishReason != b.FinishReason || len(a.Message.ToolCalls) != len(b.Message.ToolCalls) ||
		whole.Usage.TotalTokens != sum.Usage.TotalTokens || whole.Usage.TotalTokens == 0 {
		t.Errorf("whole %s, stream %+v", whole.RawJSON(), sum)
	}
	for i, c := range a.Message.ToolCalls {
		if d := b.Message.ToolCalls[i]; c.Function.Name != d.Function.Name || c.Function.Arguments != d.Function.Arguments || d.ID == "" {
			t.Errorf("call %d: %s, in a stream %+v", i, c.RawJSON(), d)
		}
	}
	return a
}

func TestChat(t *testing.T) {
	p := says(write(" Hello."))
	if c := both(t, p); c.Message.Content != "Hello." || c.FinishReason != "stop" {
		t.Errorf("%s", c.RawJSON())
	}
	p = says(write(" one two three"))
	p.Stop.OfStringArray = []string{" three"}
	if c := both(t, p); c.Message.Content != "one two" || c.FinishReason != "stop" {
		t.Errorf("%s", c.RawJSON())
	}
	p.MaxCompletionTokens = openai.Int(1)
	if c := both(t, p); c.Message.Content != "one" || c.FinishReason != "length" {
		t.Errorf("%s", c.RawJSON())
	}
	p = says("show")
	p.Messages = append([]openai.ChatCompletionMessageParamUnion{openai.SystemMessage("Be kind."), openai.UserMessage("Hi"), openai.AssistantMessage("Hello.")}, p.Messages...)
	var prompt string
	if err := json.Unmarshal([]byte(both(t, p).Message.Content), &prompt); err != nil || prompt != "System: Be kind.\n\nUser: Hi\n\nAssistant: Hello.\n\nUser: show\n\nAssistant:" {
		t.Errorf("%q, %v", prompt, err)
	}
}

var weather = openai.ChatCompletionFunctionTool(openai.FunctionDefinitionParam{Name: "weather", Strict: openai.Bool(true), Parameters: openai.FunctionParameters{
	"type": "object", "properties": map[string]any{"city": map[string]string{"type": "string"}, "days": map[string]string{"type": "integer"}},
	"required": []string{"city", "days"}, "additionalProperties": false}})

func TestTools(t *testing.T) {
	p := says("Oslo, 2 days")
	p.Tools = []openai.ChatCompletionToolUnionParam{weather}
	for name, choice := range map[string]openai.ChatCompletionToolChoiceOptionUnionParam{
		"auto": {OfAuto: openai.String("auto")}, "required": {OfAuto: openai.String("required")},
		"named": openai.ToolChoiceOptionFunctionToolChoice(openai.ChatCompletionNamedToolChoiceFunctionParam{Name: "weather"}),
	} {
		p.ToolChoice = choice
		c := both(t, p)
		var args struct {
			City string
			Days int
		}
		if len(c.Message.ToolCalls) != 1 || c.FinishReason != "tool_calls" || json.Unmarshal([]byte(c.Message.ToolCalls[0].Function.Arguments), &args) != nil ||
			args.City != "Oslo, 2 days" || args.Days != 2 {
			t.Fatalf("%s: %s", name, c.RawJSON())
		}
		p := p
		p.ToolChoice = openai.ChatCompletionToolChoiceOptionUnionParam{}
		p.Messages = append(p.Messages, c.Message.ToParam(), openai.ToolMessage("rain", c.Message.ToolCalls[0].ID))
		if got := both(t, p).Message.Content; got != "The tool says: rain" {
			t.Errorf("%s: %q", name, got)
		}
	}
	calls := `{"name":"weather","arguments":{"city":"a","days":1}}`
	p = says(write(" ```json\n[" + calls + "," + calls + "]\n```"))
	p.Tools = []openai.ChatCompletionToolUnionParam{weather}
	if n := len(both(t, p).Message.ToolCalls); n != 2 {
		t.Errorf("%d calls", n)
	}
	p.ParallelToolCalls = openai.Bool(false)
	if n := len(both(t, p).Message.ToolCalls); n != 1 {
		t.Errorf("%d calls, not parallel", n)
	}
}

func TestForms(t *testing.T) {
	p := says("A fox.")
	p.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "animal", Strict: openai.Bool(true),
		Schema: json.RawMessage(`{"type":"object","properties":{"name":{"type":"string","maxLength":8},"legs":{"type":"integer","minimum":0,"maximum":8}},"required":["name","legs"],"additionalProperties":false}`)}}
	var animal struct {
		Name *string
		Legs *int
	}
	check := func(c openai.ChatCompletionChoice) {
		t.Helper()
		if err := json.Unmarshal([]byte(c.Message.Content), &animal); err != nil || animal.Name == nil || animal.Legs == nil || *animal.Legs > 8 || c.FinishReason != "stop" {
			t.Errorf("%s, %v", c.RawJSON(), err)
		}
	}
	check(both(t, p))
	p.Model, p.MaxCompletionTokens = "demo", openai.Int(200)
	got, err := demo.Chat.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	check(got.Choices[0])
	p = says("Any object.")
	p.ResponseFormat.OfJSONObject = &shared.ResponseFormatJSONObjectParam{}
	if c := both(t, p); c.Message.Content != "{}" {
		t.Errorf("%s", c.RawJSON())
	}
}

func TestDraws(t *testing.T) {
	p := says("Tell me of a fox.")
	p.Model, p.N, p.Seed, p.Temperature = "demo", openai.Int(2), openai.Int(3), openai.Float(1)
	p.MaxTokens, p.Logprobs, p.TopLogprobs = openai.Int(16), openai.Bool(true), openai.Int(2) // to where the story says who is in it
	got, err := demo.Chat.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Choices) != 2 || got.Choices[0].Message.Content == got.Choices[1].Message.Content {
		t.Errorf("%s", got.RawJSON())
	}
	for _, c := range got.Choices {
		text := ""
		for _, token := range c.Logprobs.Content {
			if text += token.Token; len(token.TopLogprobs) != 2 || token.TopLogprobs[0].Logprob < token.TopLogprobs[1].Logprob || token.Logprob > 0 {
				t.Errorf("%s", token.RawJSON())
			}
		}
		if strings.TrimSpace(text) != strings.TrimSpace(c.Message.Content) {
			t.Errorf("tokens %q of %q", text, c.Message.Content)
		}
	}
}

func TestCompletions(t *testing.T) {
	p := openai.CompletionNewParams{Model: "demo", MaxTokens: openai.Int(2), Echo: openai.Bool(true), Logprobs: openai.Int(1), Temperature: openai.Float(0),
		Prompt: openai.CompletionNewParamsPromptUnion{OfArrayOfStrings: []string{"Once upon a", "The fox"}}}
	got, err := demo.Completions.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Choices) != 2 {
		t.Fatalf("%s", got.RawJSON())
	}
	for i, start := range p.Prompt.OfArrayOfStrings {
		c := got.Choices[i]
		if !strings.HasPrefix(c.Text, start) || strings.Join(c.Logprobs.Tokens, "") != c.Text || len(c.Logprobs.TokenLogprobs) != len(c.Logprobs.Tokens) || c.FinishReason != "length" {
			t.Errorf("%s", c.RawJSON())
		}
	}
	stream, texts := demo.Completions.NewStreaming(t.Context(), p), make([]string, 2)
	for stream.Next() {
		for _, c := range stream.Current().Choices {
			texts[c.Index] += c.Text
		}
	}
	if err := stream.Err(); err != nil || texts[0] != got.Choices[0].Text || texts[1] != got.Choices[1].Text {
		t.Errorf("%q, %v: %s", texts, err, got.RawJSON())
	}
}

func TestEmbeddings(t *testing.T) {
	p := openai.EmbeddingNewParams{Model: "demo", Dimensions: openai.Int(32), Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"The fox ran.", "A hen."}}}
	got, err := demo.Embeddings.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Data) != 2 || len(got.Data[1].Embedding) != 32 || got.Usage.PromptTokens == 0 {
		t.Fatalf("%s", got.RawJSON())
	}
	p.EncodingFormat = openai.EmbeddingNewParamsEncodingFormatBase64
	var raw struct{ Data []struct{ Embedding string } }
	if err := demo.Post(t.Context(), "embeddings", p, &raw); err != nil {
		t.Fatal(err)
	}
	for i, d := range raw.Data {
		if b, err := base64.StdEncoding.DecodeString(d.Embedding); err != nil || len(b) != 4*len(got.Data[i].Embedding) {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	}
}

func TestModels(t *testing.T) {
	list := demo.Models.ListAutoPaging(t.Context())
	var names []string
	for list.Next() {
		names = append(names, list.Current().ID)
	}
	if list.Err() != nil || len(names) != 1 || names[0] != "demo" {
		t.Errorf("%q, %v", names, list.Err())
	}
	if m, err := demo.Models.Get(t.Context(), "demo"); err != nil || m.ID != "demo" {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestErrors(t *testing.T) {
	bad := says("Hi")
	bad.Temperature = openai.Float(-1)
	other := says("Hi")
	other.Model = "other"
	for _, c := range []struct {
		p           openai.ChatCompletionNewParams
		o           option.RequestOption
		status      int
		param, code string
	}{
		{bad, option.WithMaxRetries(0), http.StatusBadRequest, "temperature", "invalid_value"},
		{other, option.WithMaxRetries(0), http.StatusNotFound, "model", "model_not_found"},
		{says("Hi"), option.WithAPIKey("wrong"), http.StatusUnauthorized, "", "invalid_api_key"},
		{says("busy 1 openai-go"), option.WithMaxRetries(0), http.StatusTooManyRequests, "", "queue_full"},
		{says("Hi"), option.WithJSONSet("stop", 5), http.StatusBadRequest, "stop", "invalid_value"},
	} {
		_, err := double.Chat.Completions.New(t.Context(), c.p, c.o)
		var e *openai.Error
		if !errors.As(err, &e) || e.StatusCode != c.status || e.Param != c.param || e.Code != c.code || e.Message == "" || e.Type == "" {
			t.Errorf("want %d, %s, %s, got %v", c.status, c.param, c.code, err)
		}
		stream := double.Chat.Completions.NewStreaming(t.Context(), c.p, c.o, option.WithMaxRetries(0))
		if c.status != http.StatusTooManyRequests && (stream.Next() || !errors.As(stream.Err(), &e) || e.StatusCode != c.status) {
			t.Errorf("in a stream: %v", stream.Err())
		}
		stream.Close()
	}
}

func TestRetries(t *testing.T) {
	tries := 0
	count := option.WithMiddleware(func(r *http.Request, next option.MiddlewareNext) (*http.Response, error) {
		tries++
		return next(r)
	})
	got, err := double.Chat.Completions.New(t.Context(), says("busy 2 openai-go-again"), option.WithMaxRetries(3), count)
	if err != nil || tries != 3 || got.Choices[0].Message.Content != "You said: busy 2 openai-go-again" {
		t.Errorf("%d tries, %v", tries, err)
	}
}

// running returns how many requests the scripted model's server works on, but for the one that asks.
func running(t *testing.T) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, os.Getenv("RWKV_DOUBLE")+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+os.Getenv("RWKV_KEY"))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if value, found := strings.CutPrefix(line, "rwkv_requests_running "); found {
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Fatal(err)
			}
			return n - 1
		}
	}
	t.Fatal("no rwkv_requests_running in the metrics")
	return 0
}

// A reader who leaves, in a stream and before an answer, ends the request.
func TestLeaving(t *testing.T) {
	stream := double.Chat.Completions.NewStreaming(t.Context(), says(`hang "one two"`))
	for text := ""; text != "one two"; {
		if !stream.Next() {
			t.Fatal(stream.Err())
		}
		text += stream.Current().Choices[0].Delta.Content
	}
	if n := running(t); n != 1 {
		t.Errorf("%d requests run, want 1", n)
	}
	stream.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := double.Chat.Completions.New(ctx, says(`hang "one"`)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	for end := time.Now().Add(time.Minute); running(t) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the requests go on")
		}
	}
}

// Many requests at once each get their own answer.
func TestTogether(t *testing.T) {
	answers := make(chan string)
	for i := range 16 {
		go func() {
			got, err := double.Chat.Completions.New(t.Context(), says(write(fmt.Sprint(" ", i))))
			if err != nil {
				answers <- err.Error()
				return
			}
			if text := got.Choices[0].Message.Content; text != fmt.Sprint(i) {
				answers <- fmt.Sprintf("%q for %d", text, i)
				return
			}
			answers <- ""
		}()
	}
	for range 16 {
		if wrong := <-answers; wrong != "" {
			t.Error(wrong)
		}
	}
}
