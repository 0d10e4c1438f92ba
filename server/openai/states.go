package openai

import (
	"net/http"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/states"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// stateRoutes are those of states, which no other server has.
func (h *Handlers) stateRoutes() []api.Route {
	return []api.Route{
		{Pattern: "GET /v1/states", Handle: h.listStates, Fail: Fail},
		{Pattern: "POST /v1/states", Handle: h.makeState, Fail: Fail},
		{Pattern: "GET /v1/states/{id}", Handle: h.oneState, Fail: Fail},
		{Pattern: "DELETE /v1/states/{id}", Handle: h.deleteState, Fail: Fail},
		{Pattern: "GET /v1/states/{id}/content", Handle: h.stateContent, Fail: Fail},
		{Pattern: "PUT /v1/states/{id}/content", Handle: h.putState, Fail: Fail},
		{Pattern: "POST /v1/states/{id}/fork", Handle: h.forkState, Fail: Fail},
		{Pattern: "GET /v1/states/{id}/picture", Handle: h.statePicture, Fail: Fail},
		{Pattern: "POST /v1/states/picture", Handle: h.textPicture, Fail: Fail},
	}
}

// StateRequest is the body of POST /v1/states. The state is that behind a prompt or a conversation, which may follow
// another state. Without either it is a copy of that other state, or the one that all texts begin from.
type StateRequest struct {
	Model    string         `json:"model"`
	Name     string         `json:"name"`
	From     string         `json:"from"` // the id of the state that the text follows
	Prompt   *wire.Prompt   `json:"prompt"`
	Messages jsontext.Value `json:"messages"`
	Tools    jsontext.Value `json:"tools"`
	Cache    *bool          `json:"cache"`
	chat.Own
}

// ForkRequest is the body of POST /v1/states/{id}/fork, which may be missing.
type ForkRequest struct {
	Name string `json:"name"`
}

// State is a kept state.
type State struct {
	ID      string `json:"id"`
	Object  string `json:"object"` // state
	Created int64  `json:"created"`
	Tokens  int    `json:"tokens"` // that it has read, as far as that is known
	Bytes   int64  `json:"bytes"`  // of its content
	Model   string `json:"model"`
	Name    string `json:"name"`
}

// StateList is a user's states, the newest first.
type StateList struct {
	Object string  `json:"object"` // list
	Data   []State `json:"data"`
}

// DeletedState says that a state is gone.
type DeletedState struct {
	ID      string `json:"id"`
	Object  string `json:"object"` // state
	Deleted bool   `json:"deleted"`
}

// mostName bounds the name of a state, in characters.
const mostName = 256

func (h *Handlers) stateObject(i states.Info) State {
	return State{i.ID, "state", i.Created.Unix(), i.Tokens, i.Bytes, h.model.Info().Name, i.Name}
}

// single returns the error of a request that asks for the state behind several answers.
func single(asked bool, answers int) *wire.Error {
	if asked && answers != 1 {
		return wire.Wrong("return_state", "false where there are several answers", "true for "+strconv.Itoa(answers))
	}
	return nil
}

// checkName checks the name of a state.
func checkName(name string) *wire.Error {
	if n := utf8.RuneCountInString(name); n > mostName {
		return wire.Wrong("name", "at most "+strconv.Itoa(mostName)+" characters", strconv.Itoa(n))
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return wire.Wrong("name", "characters that can be shown", "a control character")
		}
	}
	return nil
}

func (h *Handlers) listStates(w http.ResponseWriter, c *api.Call) *wire.Error {
	list := StateList{"list", []State{}}
	for _, i := range h.options.States.List(c.User) {
		list.Data = append(list.Data, h.stateObject(i))
	}
	reply(w, list)
	return nil
}

// tellState answers with a state, or the error by which there is none. The field is where the client named it.
func (h *Handlers) tellState(w http.ResponseWriter, i states.Info, param string, err error) *wire.Error {
	if err != nil {
		return chat.StateFault(param, err)
	}
	reply(w, h.stateObject(i))
	return nil
}

func (h *Handlers) oneState(w http.ResponseWriter, c *api.Call) *wire.Error {
	i, err := h.options.States.Info(c.User, c.PathValue("id"))
	return h.tellState(w, i, "id", err)
}

func (h *Handlers) deleteState(w http.ResponseWriter, c *api.Call) *wire.Error {
	id := c.PathValue("id")
	if err := h.options.States.Delete(c.User, id); err != nil {
		return chat.StateFault("id", err)
	}
	reply(w, DeletedState{id, "state", true})
	return nil
}

func (h *Handlers) forkState(w http.ResponseWriter, c *api.Call) *wire.Error {
	var q ForkRequest
	body, err := c.Body(w, c.Most)
	if err == nil && len(body) > 0 {
		err = wire.Decode(body, &q)
	}
	if err == nil {
		err = checkName(q.Name)
	}
	if err != nil {
		return err
	}
	i, failed := h.options.States.Fork(c.User, c.PathValue("id"), q.Name)
	return h.tellState(w, i, "id", failed)
}

func (h *Handlers) makeState(w http.ResponseWriter, c *api.Call) *wire.Error {
	var q StateRequest
	if err := c.Decode(w, &q); err != nil {
		return err
	}
	r, err := h.stateRequest(c.User, &q)
	if err != nil {
		return err
	}
	if q.From != "" && len(r.IDs) == 0 && len(r.Segments) == 0 {
		i, err := h.options.States.Fork(c.User, q.From, q.Name)
		return h.tellState(w, i, "from", err)
	}
	if err := h.follow(c.User, &q, r); err != nil {
		return err
	}
	place, full := h.options.States.Reserve(c.User, h.model.StateSize(nil), true, q.From)
	if full != nil {
		return chat.StateFault("", full)
	}
	defer place.Drop()
	s, err := h.behind(c, r)
	if err != nil {
		return err
	}
	i, failed := place.Keep(q.Name, s)
	return h.tellState(w, i, "", failed)
}

// follow has the text of a request follow the state that it names, if it names one.
func (h *Handlers) follow(user string, q *StateRequest, r *api.Request) (err *wire.Error) {
	if q.From != "" {
		r.State, err = h.options.KeptState("from", user, q.From)
	}
	return err
}

// behind returns the state behind the text of a request.
func (h *Handlers) behind(c *api.Call, r *api.Request) (*api.State, *wire.Error) {
	s, err := h.model.State(c.Context(), r)
	if err != nil {
		return nil, api.Fault(err)
	}
	read := 0
	if r.State != nil {
		read = r.State.Tokens
	}
	c.Done(api.Result{Prompt: s.Tokens, Cached: read, Before: read})
	return s, nil
}

// stateRequest checks a request and makes that of the model, without the state that it begins from.
func (h *Handlers) stateRequest(user string, q *StateRequest) (*api.Request, *wire.Error) {
	if err := h.model.Info().Want("model", q.Model); err != nil {
		return nil, err
	}
	if err := checkName(q.Name); err != nil {
		return nil, err
	}
	r := &api.Request{User: user, Cold: q.Cache != nil && !*q.Cache}
	talk := len(q.Messages) > 0 && q.Messages.Kind() != 'n'
	switch {
	case talk && q.Prompt != nil:
		return nil, wire.Wrong("messages", "none beside a prompt", "some")
	case talk:
		t := chat.Talk{Own: q.Own, Begun: q.From != "", Closed: true}
		var failed error
		if t.Messages, failed = prompt.ParseMessages("messages", q.Messages); failed != nil {
			return nil, chat.Fault(failed)
		}
		var err *wire.Error
		if t.Tools, err = tools(q.Tools); err != nil {
			return nil, err
		}
		p, err := h.options.Render(&t)
		if err != nil {
			return nil, err
		}
		r.Segments = p.Segments
	case q.Prompt == nil:
	case q.Prompt.IDs != nil:
		if err := h.checkIDs("prompt", q.Prompt.IDs); err != nil {
			return nil, err
		}
		r.IDs = q.Prompt.IDs
	case q.Prompt.Text != "":
		r.Segments = []prompt.Segment{{Text: q.Prompt.Text, End: prompt.Turn}}
	}
	return r, nil
}

// stateContent answers with the file of a state.
func (h *Handlers) stateContent(w http.ResponseWriter, c *api.Call) *wire.Error {
	id := c.PathValue("id")
	file, err := h.options.States.File(c.User, id)
	if err != nil {
		return chat.StateFault("id", err)
	}
	head := w.Header()
	head.Set("Content-Type", "application/octet-stream")
	head.Set("Content-Length", strconv.Itoa(len(file)))
	head.Set("Content-Disposition", `attachment; filename="`+id+`.safetensors"`) // which the store has made, so it is plain
	_, _ = w.Write(file)                                                         // if the client has left, nobody is there to be told
	return nil
}

// putState has a state be that of a file.
func (h *Handlers) putState(w http.ResponseWriter, c *api.Call) *wire.Error {
	id := c.PathValue("id")
	if _, err := h.options.States.Info(c.User, id); err != nil {
		return chat.StateFault("id", err)
	}
	file, err := c.Body(w, h.model.MostState())
	if err != nil {
		return err
	}
	s, failed := h.model.DecodeState(file)
	if failed != nil {
		return api.Fault(failed)
	}
	i, failed := h.options.States.Replace(c.User, id, s)
	return h.tellState(w, i, "id", failed)
}
