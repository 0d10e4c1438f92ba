package server_test

import (
	"strings"
	"testing"
)

// A client that wants one call at a time gets the first, in every protocol, whole and in a stream.
func TestOneCall(t *testing.T) {
	s := answers(t, " ```json\n"+`[{"name":"f","arguments":{"x":1}},{"name":"f","arguments":{"x":23}}]`+"\n```")
	const (
		said     = `"messages":[{"role":"user","content":"a"}],"max_tokens":900`
		function = `"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]`
		flat     = `"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]`
		bare     = `"tools":[{"name":"f","input_schema":{"type":"object"}}]`
	)
	for _, c := range []struct{ path, body, one string }{
		{"/v1/chat/completions", said + "," + function, `,"parallel_tool_calls":false`},
		{"/v1/responses", `"input":"a",` + flat, `,"parallel_tool_calls":false`},
		{"/v1/messages", said + "," + bare, `,"tool_choice":{"type":"auto","disable_parallel_tool_use":true}`},
	} {
		for _, stream := range []string{"", `,"stream":true`} {
			for _, one := range []string{"", c.one} {
				status, _, body := s.call(t, "POST", c.path, "{"+c.body+stream+one+"}")
				first, second := strings.Contains(body, `x\":1}`) || strings.Contains(body, `"x":1}`), strings.Contains(body, "23}")
				if status != 200 || !first || second != (one == "") {
					t.Errorf("%s%s%s: %d %s", c.path, stream, one, status, body)
				}
			}
		}
	}
}
