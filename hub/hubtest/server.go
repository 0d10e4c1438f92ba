// Package hubtest is a server of models for tests: it speaks the hub's protocol, from memory, and has the faults that a
// test wants.
package hubtest

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // git's name of a file
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Token is the token that the server knows.
const Token = "hf_of-the-tests"

// Server is a hub, and a second server on another port that it redirects to for large files.
type Server struct {
	URL string
	CDN string // address of the second one
	// Fault returns what is wrong with the answer to a request for a file's bytes; nil for nothing. Before requests of
	// other processes it is set ahead of Put, whose lock orders it.
	Fault func(r *http.Request) *Fault
	// Private reports whether the hub answers only those who send Token.
	Private bool

	t     *testing.T
	mu    sync.Mutex
	repos map[string]map[string][]byte
	log   []string
	old   map[string][]byte // contents by SHA-256, also of files that were replaced
}

// New starts a server without files. It fails the test if its token comes to the second server.
func New(t *testing.T) *Server {
	t.Helper()
	s := &Server{t: t, repos: map[string]map[string][]byte{}, old: map[string][]byte{}}
	cdn := httptest.NewServer(http.HandlerFunc(s.second))
	first := httptest.NewServer(http.HandlerFunc(s.first))
	t.Cleanup(func() {
		first.CloseClientConnections()
		cdn.CloseClientConnections()
		first.Close()
		cdn.Close()
	})
	s.URL, s.CDN = first.URL, cdn.URL
	return s
}

// Put puts a file into a repository, or replaces it.
func (s *Server) Put(repo, file string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.repos[repo] == nil {
		s.repos[repo] = map[string][]byte{}
	}
	s.repos[repo][file] = data
	s.old[SHA256(data)] = data
}

// Had reports whether data is what some file has or had.
func (s *Server) Had(data []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.old[SHA256(data)]
	return ok
}

// Requests returns method, address and range of each request, in their order.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.log...)
}

// SHA256 returns the hash of data in hexadecimal digits.
func SHA256(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

// Git returns git's name of data.
func Git(data []byte) string {
	h := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...)) //nolint:gosec // git's name of a file
	return hex.EncodeToString(h[:])
}

// commit returns the commit of a repository: another one after each change.
func commit(files map[string][]byte) string {
	var all []string
	for name, data := range files {
		all = append(all, name+SHA256(data))
	}
	sum := make([]byte, 20)
	for _, text := range all { // in any order
		h := sha1.Sum([]byte(text)) //nolint:gosec // a name
		for i := range sum {
			sum[i] ^= h[i]
		}
	}
	return hex.EncodeToString(sum)
}

// large reports whether the hub keeps a file by its SHA-256, at the second server.
func large(file string) bool {
	switch path.Ext(file) {
	case ".pth", ".safetensors", ".gguf", ".bin", ".st":
		return true
	}
	return false
}

func (s *Server) note(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, strings.TrimSpace(r.Method+" "+r.URL.String()+" "+r.Header.Get("Range")))
}

func (s *Server) first(w http.ResponseWriter, r *http.Request) {
	s.note(r)
	if s.Private && r.Header.Get("Authorization") != "Bearer "+Token {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case len(parts) >= 6 && parts[0] == "api" && parts[1] == "models" && parts[4] == "tree":
		s.tree(w, r, parts[2]+"/"+parts[3])
	case len(parts) >= 5 && parts[2] == "resolve":
		s.resolve(w, r, parts[0]+"/"+parts[1], strings.Join(parts[4:], "/"))
	default:
		http.NotFound(w, r)
	}
}

func (s *Server) tree(w http.ResponseWriter, r *http.Request, repo string) {
	type lfs struct {
		OID  string `json:"oid"`
		Size int    `json:"size"`
	}
	type item struct {
		Type string `json:"type"`
		Path string `json:"path"`
		OID  string `json:"oid"`
		Size int    `json:"size"`
		LFS  *lfs   `json:"lfs,omitempty"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	files, ok := s.repos[repo]
	if !ok {
		http.NotFound(w, r)
		return
	}
	items := []item{{Type: "directory", Path: "folder", OID: Git(nil)}}
	for name, data := range files {
		it := item{Type: "file", Path: name, OID: Git(data), Size: len(data)}
		if large(name) {
			it.LFS = &lfs{SHA256(data), len(data)}
		}
		items = append(items, it)
	}
	if err := json.NewEncoder(w).Encode(items); err != nil {
		s.t.Log(err)
	}
}

func (s *Server) resolve(w http.ResponseWriter, r *http.Request, repo, file string) {
	s.mu.Lock()
	data, ok := s.repos[repo][file]
	at := commit(s.repos[repo])
	s.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	if !large(file) && r.URL.RawQuery == "" { // such files have an address of their own, which tells no commit
		w.Header().Set("X-Repo-Commit", at)
		http.Redirect(w, r, r.URL.EscapedPath()+"?cached=1", http.StatusTemporaryRedirect)
		return
	}
	if !large(file) {
		w.Header().Set("ETag", `"`+Git(data)+`"`)
		s.send(w, r, data)
		return
	}
	w.Header().Set("X-Repo-Commit", at)
	w.Header().Set("X-Linked-Etag", `"`+SHA256(data)+`"`)
	w.Header().Set("X-Linked-Size", strconv.Itoa(len(data)))
	w.Header().Set("Location", s.CDN+"/"+SHA256(data)+"?signature=secret")
	w.WriteHeader(http.StatusFound)
}

func (s *Server) second(w http.ResponseWriter, r *http.Request) {
	s.note(r)
	if r.Header.Get("Authorization") != "" {
		s.t.Errorf("%s: a token came to another server", r.URL)
	}
	s.mu.Lock()
	data, ok := s.old[strings.Trim(r.URL.Path, "/")]
	s.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", `"of-the-second-server"`)
	s.send(w, r, data)
}

// send sends a file or a range of it, with the fault that the test wants.
func (s *Server) send(w http.ResponseWriter, r *http.Request, data []byte) {
	var f *Fault
	if s.Fault != nil && r.Method == http.MethodGet {
		f = s.Fault(r)
	}
	if f != nil {
		f.send(w, r, data)
		return
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}
