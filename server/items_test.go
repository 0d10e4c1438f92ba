package server_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	client "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/responses"
)

// itemsOf lists the input items of a response in short.
func itemsOf(t *testing.T, c client.Client, id string, p responses.InputItemListParams) (list, ids []string) {
	t.Helper()
	pages := c.Responses.InputItems.ListAutoPaging(t.Context(), id, p)
	for pages.Next() {
		item := pages.Current()
		text := strings.TrimSpace(item.Type + " " + item.Role)
		for _, part := range item.Content.OfInputItemContentList {
			text += " " + part.Type + " " + part.Text
		}
		for _, more := range []string{item.Name, item.Output.OfString} {
			text = strings.TrimSpace(text + " " + more)
		}
		list, ids = append(list, text), append(ids, item.ID)
	}
	if err := pages.Err(); err != nil {
		t.Fatal(err)
	}
	return list, ids
}

// A response tells the items that it was made from, page by page, also those of the responses before it.
func TestInputItems(t *testing.T) {
	s := answers(t, " there was a fox.")
	c := s.official()
	first, err := c.Responses.New(t.Context(), responses.ResponseNewParams{Model: "rwkv-test", Instructions: client.String("Be kind."), Input: input(
		responses.ResponseInputItemParamOfMessage("Be short.", "developer"),
		responses.ResponseInputItemParamOfMessage("Look.", "user"),
		responses.ResponseInputItemParamOfFunctionCall(`{"at":"it"}`, "call_1", "look"),
		responses.ResponseInputItemParamOfFunctionCallOutput("call_1", "a fox"))})
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Responses.New(t.Context(), responses.ResponseNewParams{Model: "rwkv-test", PreviousResponseID: client.String(first.ID),
		Input: responses.ResponseNewParamsInputUnion{OfString: client.String("Go on.")}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"message developer input_text Be short.", "message user input_text Look.", "function_call look", "function_call_output a fox",
		"message assistant output_text there was a fox.", "message user input_text Go on."}
	var ids []string
	for _, limit := range []int64{0, 1, 4, 6} {
		p := responses.InputItemListParams{Order: responses.InputItemListParamsOrderAsc}
		if limit > 0 {
			p.Limit = param.NewOpt(limit)
		}
		var got []string
		if got, ids = itemsOf(t, c, second.ID, p); !slices.Equal(got, want) {
			t.Errorf("pages of %d: %q, want %q", limit, got, want)
		}
	}
	if ids[4] != first.Output[0].ID {
		t.Errorf("the answer before is item %s, was %s", ids[4], first.Output[0].ID)
	}
	back, _ := itemsOf(t, c, first.ID, responses.InputItemListParams{})
	slices.Reverse(back)
	if !slices.Equal(back, want[:4]) {
		t.Errorf("the last first: %q", back)
	}
	// A client may name an item instead of sending it again, also one that it sent itself.
	again, err := c.Responses.New(t.Context(), responses.ResponseNewParams{Model: "rwkv-test", Input: input(
		responses.ResponseInputItemParamOfItemReference(ids[1]), responses.ResponseInputItemParamOfItemReference(ids[4]),
		responses.ResponseInputItemParamOfMessage("And then?", "user"))})
	if err != nil {
		t.Fatal(err)
	}
	asked := s.model.Asked()
	if text := segmentsText(asked[len(asked)-1]); text != "User: Look.\n\nAssistant: there was a fox.\n\nUser: And then?\n\nAssistant:" {
		t.Errorf("%q", text)
	}
	if _, named := itemsOf(t, c, again.ID, responses.InputItemListParams{Order: "asc"}); named[0] != ids[1] || named[1] != ids[4] {
		t.Errorf("items named by %q are %q", []string{ids[1], ids[4]}, named)
	}
	if err := c.Responses.Delete(t.Context(), again.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Responses.New(t.Context(), responses.ResponseNewParams{Model: "rwkv-test", Input: input(responses.ResponseInputItemParamOfItemReference(ids[1]),
		responses.ResponseInputItemParamOfItemReference(ids[5]))}); err != nil {
		t.Errorf("an item whose response is kept: %v", err)
	}
	for query, wanted := range map[string]struct{ param, part string }{
		"limit=0":                     {"limit", "from 1 to 100"},
		"limit=x":                     {"limit", "from 1 to 100"},
		"order=up":                    {"order", "asc"},
		"after=msg_1":                 {"after", "the id of an item"},
		"include[]=x":                 {"include[0]", "one of"},
		"include=message.output_text": {"include[0]", "one of"},
		"include=reasoning.encrypted_content&limit=999": {"limit", "100"},
	} {
		status, _, body := s.call(t, "GET", fmt.Sprintf("/v1/responses/%s/input_items?%s", first.ID, query), "")
		wantError(t, query, status, 400, body, wanted.param, wanted.part)
	}
	status, _, body := s.call(t, "GET", "/v1/responses/resp_1/input_items", "")
	wantError(t, "none", status, 404, body, "id", "no response")
	for _, query := range []string{"stream=true", "starting_after=3"} {
		status, _, body = s.call(t, "GET", "/v1/responses/"+first.ID+"?"+query, "")
		wantError(t, query, status, 400, body, strings.Split(query, "=")[0], "told whole")
	}
}

// No response is made in the background, so none can be canceled, and a client is told so.
func TestCancelResponse(t *testing.T) {
	c := answers(t, " Yes.").official()
	r, err := c.Responses.New(t.Context(), responses.ResponseNewParams{Model: "rwkv-test", Input: responses.ResponseNewParamsInputUnion{OfString: client.String("Hi")}})
	if err != nil {
		t.Fatal(err)
	}
	for id, status := range map[string]int{r.ID: 400, "resp_1": 404} {
		var e *client.Error
		if _, err := c.Responses.Cancel(t.Context(), id); !errors.As(err, &e) || e.StatusCode != status || e.Param != "id" {
			t.Errorf("%s: %v", id, err)
		}
	}
}
