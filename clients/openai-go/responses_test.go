package client

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
)

// input returns a request for a response to a text.
func input(text string) responses.ResponseNewParams {
	return responses.ResponseNewParams{Model: "double", Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(text)}}
}

func respond(t *testing.T, p responses.ResponseNewParams) *responses.Response {
	t.Helper()
	got, err := double.Responses.New(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// A response goes on from an earlier one, until that is deleted.
func TestResponses(t *testing.T) {
	first := respond(t, input(write(" Hello.")))
	if first.OutputText() != "Hello." || first.Status != "completed" || first.Usage.TotalTokens == 0 {
		t.Errorf("%s", first.RawJSON())
	}
	p := input("show")
	p.PreviousResponseID = openai.String(first.ID)
	p.Instructions = openai.String("Be kind.")
	var prompt string
	if err := json.Unmarshal([]byte(respond(t, p).OutputText()), &prompt); err != nil || !strings.HasPrefix(prompt, "System: Be kind.\n\nUser: write") ||
		!strings.HasSuffix(prompt, "Assistant: Hello.\n\nUser: show\n\nAssistant:") {
		t.Errorf("%q, %v", prompt, err)
	}
	if kept, err := double.Responses.Get(t.Context(), first.ID, responses.ResponseGetParams{}); err != nil || kept.OutputText() != "Hello." {
		t.Errorf("%+v, %v", kept, err)
	}
	if err := double.Responses.Delete(t.Context(), first.ID); err != nil {
		t.Error(err)
	}
	var e *openai.Error
	if _, err := double.Responses.New(t.Context(), p); !errors.As(err, &e) || e.StatusCode != http.StatusNotFound || e.Param != "previous_response_id" {
		t.Errorf("%v", err)
	}
}

func TestResponseStream(t *testing.T) {
	stream := double.Responses.NewStreaming(t.Context(), input(write(" One two.")))
	defer stream.Close()
	text, last := "", ""
	for n := int64(0); stream.Next(); n++ {
		e := stream.Current()
		last = e.Type
		if e.Type == "response.output_text.delta" {
			text += e.Delta
		}
		if e.SequenceNumber != n {
			t.Errorf("event %d has the number %d", n, e.SequenceNumber)
		}
	}
	if stream.Err() != nil || text != "One two." || last != "response.completed" {
		t.Errorf("%q, %s, %v", text, last, stream.Err())
	}
}

func TestResponseTools(t *testing.T) {
	p := input("Oslo")
	p.Tools = []responses.ToolUnionParam{{OfFunction: &responses.FunctionToolParam{Name: "clock", Strict: openai.Bool(false),
		Parameters: map[string]any{"type": "object", "properties": map[string]any{"place": map[string]string{"type": "string"}}}}}}
	got := respond(t, p)
	call := got.Output[0].AsFunctionCall()
	if call.Name != "clock" || call.Arguments != `{"place":"Oslo"}` {
		t.Fatalf("%s", got.RawJSON())
	}
	p.PreviousResponseID = openai.String(got.ID)
	for _, id := range []string{call.CallID, ""} { // which the client may leave out
		output := responses.ResponseInputItemParamOfFunctionCallOutput("noon")
		if id != "" {
			output.OfFunctionCallOutput.CallID = openai.String(id)
		}
		p.Input = responses.ResponseNewParamsInputUnion{OfInputItemList: responses.ResponseInputParam{output}}
		if text := respond(t, p).OutputText(); text != "The tool says: noon" {
			t.Errorf("%q: %q", id, text)
		}
	}
}

func TestInputTokens(t *testing.T) {
	got, err := double.Responses.InputTokens.Count(t.Context(), responses.InputTokenCountParams{Model: openai.String("double"),
		Input: responses.InputTokenCountParamsInputUnion{OfString: openai.String("How long?")}})
	if err != nil || got.InputTokens != respond(t, input("How long?")).Usage.InputTokens {
		t.Errorf("%+v, %v", got, err)
	}
}
