package openai

import (
	"container/list"
	"net/http"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// Bounds of the responses that are kept for all users together. The oldest of the user who has the most make room for new
// ones, so no user can have those of others forgotten by making many.
const (
	mostKept      = 10_000
	mostKeptBytes = 64 << 20
)

// keptResponse is a response that a user may come back to.
type keptResponse struct {
	id, user string
	body     []byte           // the response as JSON
	items    []OutputItem     // of the response
	input    []OutputItem     // that the response was made from, without instructions
	own      int              // of input, the first that its own request has brought
	messages []prompt.Message // the conversation with the response at its end, without instructions
	begin    string           // the id of the kept state that the conversation follows; "" for none
}

// size returns about how many bytes a response takes.
func (k *keptResponse) size() int64 {
	const perMessage = 128
	n := len(k.id) + len(k.user) + len(k.body)
	for i := range k.messages {
		m := &k.messages[i]
		n += perMessage + len(m.Content) + len(m.Reasoning) + len(m.CallID)
		for _, c := range m.Calls {
			n += perMessage + len(c.ID) + len(c.Name) + len(c.Arguments)
		}
	}
	n += 2 * perMessage * (len(k.items) + len(k.input))
	for i := range k.input { // the texts of those before own, and all names, are those of messages
		n += perMessage * len(k.input[i].Content)
	}
	for _, list := range [][]OutputItem{k.items, k.input[k.own:]} {
		for i := range list {
			n += list[i].size()
		}
	}
	return int64(n)
}

// size returns how many bytes the texts of an item have.
func (it *OutputItem) size() (n int) {
	for _, list := range [][]OutputPart{it.Summary, it.Content} {
		for i := range list {
			n += len(list[i].Text) + len(list[i].Refusal)
		}
	}
	for _, text := range []*string{it.Arguments, it.Output} {
		if text != nil {
			n += len(*text)
		}
	}
	return n
}

// keptResponses are the responses that are kept, in memory.
type keptResponses struct {
	most      int
	mostBytes int64

	mu    sync.Mutex
	users map[string]*keptShare
	byID  map[string]*list.Element
	items map[string]keptItem // by their ids
	bytes int64
}

// keptShare has the responses of a user.
type keptShare struct {
	order list.List // of *keptResponse, the oldest first
	bytes int64
}

// keptItem is an item that came with a kept response: of its answer, or of its request.
type keptItem struct {
	of   *keptResponse
	item *OutputItem
}

func newKeptResponses(most int, mostBytes int64) *keptResponses {
	return &keptResponses{most: most, mostBytes: mostBytes, users: map[string]*keptShare{}, byID: map[string]*list.Element{},
		items: map[string]keptItem{}}
}

// add keeps a response.
func (s *keptResponses) add(k *keptResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.insert(k)
}

// adopt keeps a response of another server, unless it is kept already, and returns the one that is kept.
func (s *keptResponses) adopt(k *keptResponse) *keptResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.byID[k.id]; e != nil {
		return e.Value.(*keptResponse)
	}
	s.insert(k)
	return k
}

// insert is add with the lock held.
func (s *keptResponses) insert(k *keptResponse) {
	u := s.users[k.user]
	if u == nil {
		u = new(keptShare)
		s.users[k.user] = u
	}
	s.byID[k.id] = u.order.PushBack(k)
	for _, list := range [][]OutputItem{k.items, k.input[k.own:]} {
		for i := range list {
			if _, there := s.items[list[i].ID]; !there { // else the request named it by its id
				s.items[list[i].ID] = keptItem{k, &list[i]}
			}
		}
	}
	u.bytes, s.bytes = u.bytes+k.size(), s.bytes+k.size()
	for len(s.byID) > s.most || s.bytes > s.mostBytes {
		s.drop(s.largest().order.Front())
	}
}

// largest returns the share that has the most of what there is too much of.
func (s *keptResponses) largest() *keptShare {
	var most *keptShare
	for _, u := range s.users {
		switch {
		case most == nil,
			s.bytes > s.mostBytes && u.bytes > most.bytes,
			s.bytes <= s.mostBytes && u.order.Len() > most.order.Len():
			most = u
		}
	}
	return most
}

func (s *keptResponses) drop(e *list.Element) {
	k := e.Value.(*keptResponse)
	u := s.users[k.user]
	u.order.Remove(e)
	delete(s.byID, k.id)
	for _, list := range [][]OutputItem{k.items, k.input[k.own:]} {
		for i := range list {
			if s.items[list[i].ID].of == k {
				delete(s.items, list[i].ID)
			}
		}
	}
	u.bytes, s.bytes = u.bytes-k.size(), s.bytes-k.size()
	if u.order.Len() == 0 {
		delete(s.users, k.user)
	}
}

// get returns a user's response, nil if there is none of the id. remove has it forgotten.
func (s *keptResponses) get(user, id string, remove bool) *keptResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, found := s.byID[id]
	if !found || e.Value.(*keptResponse).user != user {
		return nil
	}
	k := e.Value.(*keptResponse)
	if remove {
		s.drop(e)
	}
	return k
}

// item returns an item of a user's responses, nil if there is none of the id.
func (s *keptResponses) item(user, id string) *OutputItem {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.items[id]; k.item != nil && k.of.user == user {
		return k.item
	}
	return nil
}

// noResponse is the error of a field that names no response of the user.
func noResponse(param string) *wire.Error {
	return &wire.Error{Status: http.StatusNotFound, Param: param, Code: "response_not_found",
		Message: param + ": there is no response of this id: it was never kept, or deleted, or had to make room for newer ones"}
}

func (h *Handlers) oneResponse(w http.ResponseWriter, c *api.Call) *wire.Error {
	if err := checkQuery(c.URL.Query()); err != nil {
		return err
	}
	k := h.response(c.Context(), c.User, c.PathValue("id"))
	if k == nil {
		return noResponse("id")
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(k.body) // if the client has left, nobody is there to be told
	return nil
}

func (h *Handlers) deleteResponse(w http.ResponseWriter, c *api.Call) *wire.Error {
	there, err := h.forget(c.Context(), c.User, c.PathValue("id"))
	switch {
	case err != nil:
		return err
	case !there:
		return noResponse("id")
	}
	reply(w, struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Deleted bool   `json:"deleted"`
	}{c.PathValue("id"), "response", true})
	return nil
}
