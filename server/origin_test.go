package server_test

import (
	"net/http"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
)

func TestOrigins(t *testing.T) {
	preflight := []string{"Origin", "http://a.example", "Access-Control-Request-Method", "POST"}
	for _, c := range []struct{ origin, allowed string }{{"", ""}, {"*", "*"}, {"http://a.example", "http://a.example"}, {"http://b.example", ""}} {
		s := serve(t, func(o *server.Options, _ *scripted.Model, _ *chat.Options) { o.Origin = c.origin })
		for _, call := range [][]string{{"OPTIONS", "/v1/completions"}, {"GET", "/v1/models"}, {"POST", "/v1/completions"}} {
			status, head, body := s.call(t, call[0], call[1], `{"prompt":"a"}`, preflight...)
			if got := head.Get("Access-Control-Allow-Origin"); got != c.allowed || call[0] != "OPTIONS" && (status == 200) != (c.allowed != "") {
				t.Errorf("%v for %q: %d, %q is let in: %s", call, c.origin, status, got, body)
			}
		}
		if status, _, _ := s.call(t, "GET", "/v1/models", "", "Origin", s.URL); status != 200 {
			t.Errorf("the server's own page: %d", status)
		}
	}
}

// A server for this computer alone is not called by the names of others' sites, unless it asks for keys or has the name.
func TestHosts(t *testing.T) {
	for _, c := range []struct {
		host                      string
		open, hosts, any, guarded bool
	}{
		{"localhost:8080", true, true, true, true}, {"127.0.0.1", true, true, true, true}, {"[::1]:80", true, true, true, true}, {"a.localhost.", true, true, true, true},
		{"evil.example:8080", false, false, true, true}, {"localhost.evil.example", false, false, true, true}, {"10.0.0.1", false, false, true, true}, {"MyBox:8080", false, true, true, true},
	} {
		for name, want := range map[string]bool{"open": c.open, "hosts": c.hosts, "any": c.any, "guarded": c.guarded} {
			s := serve(t, func(o *server.Options, _ *scripted.Model, _ *chat.Options) {
				o.Local = true
				o.Hosts = map[string][]string{"hosts": {"mybox"}, "any": {"*"}}[name]
				if name == "guarded" {
					if err := o.Keys.Add("ann", "key"); err != nil {
						t.Fatal(err)
					}
				}
			})
			r, err := http.NewRequest("GET", s.URL+"/v1/models", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = c.host
			r.Header.Set("X-Api-Key", "key")
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if (answer.StatusCode == 200) != want || !want && answer.StatusCode != http.StatusForbidden {
				t.Errorf("%s, %s: %d", name, c.host, answer.StatusCode)
			}
		}
	}
}
