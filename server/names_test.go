package server_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
)

// An answer bears the name by which the model was asked for, in every protocol, whole and in a stream. A long one, which a
// server of any name takes, is not repeated with every event.
func TestNames(t *testing.T) {
	s := serve(t, func(_ *server.Options, m *scripted.Model, _ *chat.Options) { m.What.Aliases = []string{"other", "*"} })
	long := strings.Repeat("x", 129)
	for path, body := range map[string]string{
		"/v1/completions":      `"prompt":"a"`,
		"/v1/chat/completions": `"messages":[{"role":"user","content":"a"}]`,
		"/v1/responses":        `"input":"a"`,
		"/v1/messages":         `"max_tokens":9,"messages":[{"role":"user","content":"a"}]`,
		"/v1/embeddings":       `"input":"a"`,
	} {
		for asked, want := range map[string]string{"other": "other", "any": "any", "rwkv-test": "rwkv-test", "": "rwkv-test", long: "rwkv-test"} {
			name, err := json.Marshal(asked)
			if err != nil {
				t.Fatal(err)
			}
			for _, stream := range []string{"", `,"stream":true`} {
				status, _, answer := s.call(t, "POST", path, "{"+body+`,"model":`+string(name)+stream+"}")
				if status != 200 || !strings.Contains(answer, `"model":"`+want+`"`) || strings.Contains(answer, long) {
					t.Errorf("%s%s, asked for %.20q: %d %.300s", path, stream, asked, status, answer)
				}
			}
		}
	}
}
