package local

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/completion"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/model/state/picture"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
)

// The picture of a state is that of its file. The model is fed a conversation once, and one token for each picture more.
func TestPictures(t *testing.T) {
	c := newClient(t, open(t, 1, Options{Completion: completion.Options{Cache: statecache.Options{Host: 1 << 26}}}), t.TempDir())
	conversation := messages("Tell me of a fox.", "There was a fox.")
	drawn := func(body string) (file []byte, fed int) {
		t.Helper()
		before := c.m.service.Stats().Schedule.Fed
		status, file := c.do("POST", "/v1/states/picture", []byte(body))
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", body, status, file)
		}
		return file, c.m.service.Stats().Schedule.Fed - before
	}
	first, fed := drawn("{" + conversation + "}")
	again, none := drawn(`{"size":16,` + conversation + "}")
	if !bytes.Equal(first, again) || fed < 10 || none > 1 {
		t.Errorf("the same picture: %v; %d tokens were fed, then %d", bytes.Equal(first, again), fed, none)
	}
	if _, more := drawn("{" + messages("Tell me of a fox.", "There was a fox.", "And then?") + "}"); more < 3 || more > fed {
		t.Errorf("one message more costs %d tokens", more)
	}
	var o openai.State
	c.ask(&o, "/v1/states", "{"+conversation+"}")
	s, err := state.Decode(c.m.engine.Model, "content", c.content(o.ID))
	if err != nil {
		t.Fatal(err)
	}
	for query, options := range map[string]picture.Options{"": {Size: 16, Layer: picture.All, Head: picture.All}, "?size=64&layer=5&head=3": {Size: 64, Layer: 5, Head: 3}} {
		status, got := c.do("GET", "/v1/states/"+o.ID+"/picture"+query, nil)
		want, err := picture.Encode(c.m.engine.Model, s, options)
		if err != nil || status != http.StatusOK || !bytes.Equal(got, want) {
			t.Errorf("%s: %d, %d bytes, want %d (%v)", query, status, len(got), len(want), err)
		}
	}
	if status, got := c.do("GET", "/v1/states/"+o.ID+"/picture?layer=6", nil); status != http.StatusBadRequest || !strings.Contains(string(got), "layer: want 0 to 5, got 6") {
		t.Errorf("%d %s", status, got)
	}
}
