package replicas

import (
	"cmp"
	"container/list"
	"crypto/sha256"
	"encoding/hex"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// place is the end of a text that a state may have been kept for.
type place struct {
	key    string
	answer string // what the model answered there; "" where the prompt ends
	anchor bool   // reports whether many texts have this beginning
	size   int    // bytes of the text up to an anchor
}

// placesOf returns the places of a request's prompt, the first ones first: beginnings that many texts have, the place
// of each answer, and that of the one that is asked for. The place of an answer is where the first message behind the
// answer before it ends: what follows up to the answer depends on how the model is asked to think, and is left out of
// the next prompt. Keys are digests of the user and the text.
func placesOf(r *api.Request) (all []place) {
	h := sha256.New()
	h.Write([]byte(r.User + "\x00"))
	key := func() string { return hex.EncodeToString(h.Sum(nil)[:16]) }
	if r.IDs != nil {
		h.Write(appendIDs(nil, r.IDs))
		return []place{{key: "i" + key()}}
	}
	at, size := "", 0 // key of the place of the next answer, once that is known; bytes so far
	for i := range r.Segments {
		s := &r.Segments[i]
		if s.Answer {
			if at == "" {
				at = "t" + key()
			}
			all = append(all, place{key: at, answer: cmp.Or(s.Verbatim, s.Text)})
			at = ""
		}
		h.Write([]byte(s.Text))
		size += len(s.Text)
		switch {
		case s.End == prompt.Anchor:
			all = append(all, place{key: "t" + key(), anchor: true, size: size})
		case at == "" && message(s):
			at = "t" + key()
		}
	}
	if at == "" {
		at = "t" + key()
	}
	return append(all, place{key: at})
}

// message reports whether a segment is the text of a message that no model wrote, or ends one that has no parts.
func message(s *prompt.Segment) bool {
	if s.Answer || s.Role == prompt.System {
		return false
	}
	return s.Part == prompt.Content || s.Part == "" && s.End == prompt.Turn
}

// ownKey returns the key under which an answer to a prompt of these places is kept.
func ownKey(places []place) string { return places[len(places)-1].key }

// recent remembers the values of the keys that were used last. Its methods may be called by any goroutine.
type recent[V any] struct {
	most  int
	mu    sync.Mutex
	order list.List // of *remembered[V], the last used first
	byKey map[string]*list.Element
}

type remembered[V any] struct {
	key   string
	value V
}

func newRecent[V any](most int) *recent[V] {
	return &recent[V]{most: most, byKey: map[string]*list.Element{}}
}

// set remembers a value.
func (r *recent[V]) set(key string, value V) { r.update(key, func(V) V { return value }) }

// update changes the value of a key, the zero value for none, and returns what it is then.
func (r *recent[V]) update(key string, change func(V) V) V {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.byKey[key]
	if e == nil {
		e = r.order.PushFront(&remembered[V]{key: key})
		r.byKey[key] = e
	}
	r.order.MoveToFront(e)
	one := e.Value.(*remembered[V])
	one.value = change(one.value)
	if r.order.Len() > r.most {
		last := r.order.Back()
		r.order.Remove(last)
		delete(r.byKey, last.Value.(*remembered[V]).key)
	}
	return one.value
}

// get returns the value of a key, the zero value for none.
func (r *recent[V]) get(key string) (value V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.byKey[key]
	if e == nil {
		return value
	}
	r.order.MoveToFront(e)
	return e.Value.(*remembered[V]).value
}
