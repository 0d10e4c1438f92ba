package server_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
)

// A picture is that of the state which would be kept, of what is asked for, and nothing is kept for it.
func TestPictures(t *testing.T) {
	s := serve(t, nil)
	kept := s.state(t, `{"prompt":"Once upon a time"}`)
	text := func(p scripted.Picture) (text string) {
		for _, id := range p.IDs {
			text += string(s.model.Tok.Bytes(id))
		}
		return text
	}
	all := api.Drawing{Layer: api.All, Head: api.All}
	for _, c := range []struct {
		method, path, body, text string
		want                     api.Drawing
	}{
		{"GET", "/v1/states/" + kept.ID + "/picture", "", "Once upon a time", all},
		{"GET", "/v1/states/" + kept.ID + "/picture?size=64&layer=3&head=1", "", "Once upon a time", api.Drawing{Size: 64, Layer: 3, Head: 1}},
		{"POST", "/v1/states/picture", `{"prompt":"Once"}`, "Once", all},
		{"POST", "/v1/states/picture", `{"from":"` + kept.ID + `"}`, "Once upon a time", all},
		{"POST", "/v1/states/picture", `{"from":"` + kept.ID + `","prompt":" there was","layer":0,"size":8}`, "Once upon a time there was", api.Drawing{Size: 8, Head: api.All}},
		{"POST", "/v1/states/picture", `{"messages":[{"role":"user","content":"Hello"},{"role":"assistant","content":"Yes"}]}`, "User: Hello\n\nAssistant: Yes\n\n", all},
	} {
		var p scripted.Picture
		s.ask(t, &p, c.method, c.path, c.body)
		if got := text(p); got != c.text || p.Drawing != c.want {
			t.Errorf("%s %s %s: %q, %+v", c.method, c.path, c.body, got, p.Drawing)
		}
	}
	var list struct{ Data []struct{ ID string } }
	if s.ask(t, &list, "GET", "/v1/states", ""); len(list.Data) != 1 || list.Data[0].ID != kept.ID {
		t.Errorf("kept are %+v", list.Data)
	}
	for _, c := range []struct{ method, path, body, want string }{
		{"GET", "/v1/states/" + kept.ID + "/picture?size=x", "", `size: want a whole number, got \"x\"`},
		{"GET", "/v1/states/" + kept.ID + "/picture?size=0", "", "size: want 1 to 2048, got 0"},
		{"GET", "/v1/states/" + kept.ID + "/picture?layer=-1", "", "layer: want 0 to 65535, got -1"},
		{"POST", "/v1/states/picture", `{"prompt":"a","head":65536}`, "head: want 0 to 65535, got 65536"},
		{"POST", "/v1/states/picture", `{"prompt":"a","size":"b"}`, "size"},
	} {
		status, _, text := s.call(t, c.method, c.path, c.body)
		if status != http.StatusBadRequest || !strings.Contains(text, c.want) || !strings.Contains(text, `"param":"`+strings.SplitN(c.want, ":", 2)[0]+`"`) {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, status, text)
		}
	}
}
