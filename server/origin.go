package server

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// trusted refuses what a page of another site asks for in its reader's name. Browsers say where a page comes from, and send
// some requests without a question first. A page may also have its own name lead to this computer (DNS rebinding): then a
// server that is for this computer alone, and asks for no keys, knows the page by the name that it was called by.
func (s *Server) trusted(r *http.Request) *wire.Error {
	if s.o.Local && !s.o.Keys.Asked() && !s.named(r.Host) {
		return &wire.Error{Status: http.StatusForbidden, Code: "unknown_host",
			Message: "this server is called localhost: --allow-host gives it the name that the request has"}
	}
	origin := r.Header.Get("Origin")
	if origin == "" || s.o.Origin == "*" || origin == s.o.Origin {
		return nil
	}
	if u, err := url.Parse(origin); err == nil && u.Host == r.Host {
		return nil
	}
	return &wire.Error{Status: http.StatusForbidden, Code: "unknown_origin",
		Message: "pages of other sites may not use this server: --cors allows one"}
}

// named reports whether the server has the name of a host, with or without a port.
func (s *Server) named(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback() || name == "localhost" || strings.HasSuffix(name, ".localhost") ||
		slices.Contains(s.o.Hosts, name) || slices.Contains(s.o.Hosts, "*")
}
