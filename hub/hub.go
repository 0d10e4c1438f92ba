package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/hub/fetch"
)

// DefaultEndpoint is the hub that is asked unless another one is named.
const DefaultEndpoint = "https://huggingface.co"

// Hub is a server of models, and where they are kept.
type Hub struct {
	Endpoint string   // address of the server; "" is DefaultEndpoint
	Token    string   // is sent to Endpoint's server alone; "" for none
	Mirrors  []string // servers that are asked for a file's bytes when Endpoint fails; no token is sent to them
	Cache    Cache    // to keep files in
	Others   []Cache  // to find files in
	VocabDir string   // folder for vocabularies that are beside no model
	Fetch    fetch.Options
}

// entry is a file of a repository.
type entry struct {
	path string
	size int64 // -1 if the listing does not tell it
	sum  fetch.Sum
}

func (h *Hub) endpoint() string {
	if h.Endpoint == "" {
		return DefaultEndpoint
	}
	return strings.TrimRight(h.Endpoint, "/")
}

// fileURL returns the address of a repository's file at a server.
func fileURL(endpoint, repo, rev, file string) string {
	parts := strings.Split(file, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return endpoint + "/" + repo + "/resolve/" + url.PathEscape(rev) + "/" + strings.Join(parts, "/")
}

const (
	mostListing = 64 << 20 // bytes of a page
	mostPages   = 1000
)

// tree lists the files of a repository.
func (h *Hub) tree(ctx context.Context, repo, rev string) (list []entry, err error) {
	src := fetch.Source{URL: fmt.Sprintf("%s/api/models/%s/tree/%s?recursive=1", h.endpoint(), repo, url.PathEscape(rev)), Token: h.Token}
	for range mostPages {
		body, header, err := fetch.Text(ctx, h.Fetch, src, mostListing)
		if err != nil {
			return nil, err
		}
		page, err := parseTree(body)
		if err != nil {
			return nil, &fetch.Error{Kind: fetch.Damaged, Where: fetch.Plain(src.URL), Err: err}
		}
		list = append(list, page...)
		next := nextPage(header)
		if next == "" {
			return list, nil
		}
		if src.URL, err = h.follow(src.URL, next); err != nil {
			return nil, &fetch.Error{Kind: fetch.Damaged, Where: fetch.Plain(src.URL), Err: err}
		}
	}
	return nil, &fetch.Error{Kind: fetch.Damaged, Where: fetch.Plain(src.URL), Err: fmt.Errorf("want at most %d pages, got more", mostPages)}
}

// follow returns the address of a listing's next page, which must be at the same server: the token goes there too.
func (h *Hub) follow(at, next string) (string, error) {
	from, err := url.Parse(at)
	if err != nil {
		return "", err
	}
	to, err := from.Parse(next)
	if err != nil || to.Host != from.Host || to.Scheme != from.Scheme {
		return "", errors.New("the next page of the listing is at another server")
	}
	return to.String(), nil
}

var nextLink = regexp.MustCompile(`<([^>]*)>\s*;[^,]*rel="?next"?`)

// nextPage returns the address of a listing's next page, "" if there is none.
func nextPage(h http.Header) string {
	if m := nextLink.FindStringSubmatch(strings.Join(h.Values("Link"), ",")); m != nil {
		return m[1]
	}
	return ""
}

// parseTree reads a page of a listing. It leaves out files that no name can mean: those whose paths lead out of the
// repository's folder, and those that some system cannot have.
func parseTree(body []byte) (list []entry, err error) {
	var items []struct {
		Type string `json:"type"`
		Path string `json:"path"`
		OID  string `json:"oid"`
		Size *int64 `json:"size"`
		LFS  *struct {
			OID  string `json:"oid"`
			Size *int64 `json:"size"`
		} `json:"lfs"`
	}
	if err := json.Unmarshal(body, &items); err != nil {
		return nil, fmt.Errorf("want a list of files: %w", err)
	}
	for _, it := range items {
		if it.Type == "directory" || !isPath(it.Path) {
			continue
		}
		e := entry{path: it.Path, size: -1, sum: sumOf(it.OID)}
		size := it.Size
		if it.LFS != nil {
			e.sum = sumOf(strings.TrimPrefix(it.LFS.OID, "sha256:"))
			if it.LFS.Size != nil {
				size = it.LFS.Size
			}
		}
		if size != nil {
			e.size = *size
		}
		list = append(list, e)
	}
	return list, nil
}

// sumOf returns the hash that an identity is, if it is one.
func sumOf(id string) fetch.Sum {
	switch {
	case fetch.IsHex(id, 64):
		return fetch.Sum{SHA256: id}
	case fetch.IsHex(id, 40):
		return fetch.Sum{Git: id}
	}
	return fetch.Sum{}
}

// remote is a file to fetch, with its place in a cache.
type remote struct {
	folder string // such as models--OWNER--REPO
	commit string
	rev    string
	path   string
	blob   string // name of the blob
	file   fetch.File
}

var commitName = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_.-]*$`)

// remote asks for a listed file's facts.
func (h *Hub) remote(ctx context.Context, n Name, e entry) (*remote, error) {
	repo, rev := n.repo()
	address := fileURL(h.endpoint(), repo, rev, e.path)
	facts, err := fetch.Ask(ctx, h.Fetch, fetch.Source{URL: address, Token: h.Token})
	if err != nil {
		return nil, err
	}
	r := &remote{folder: n.folder(), commit: facts.Commit, rev: rev, path: e.path, blob: facts.ETag}
	if r.commit == "" && commitName.MatchString(rev) {
		r.commit = rev // a server that tells no commits
	}
	bad := func(format string, args ...any) (*remote, error) {
		return nil, &fetch.Error{Kind: fetch.Damaged, Where: fetch.Plain(address), Err: fmt.Errorf(format, args...)}
	}
	sum := sumOf(facts.ETag)
	switch {
	case !commitName.MatchString(r.commit):
		return bad("want a commit, got %q", r.commit)
	case sum == (fetch.Sum{}): // the listing may tell it
		sum = e.sum
		r.blob = strings.TrimPrefix(strings.TrimPrefix(sum.String(), "sha256 "), "git ")
	case e.sum != (fetch.Sum{}) && sum != e.sum:
		return nil, &fetch.Error{Kind: fetch.Changed, Where: fetch.Plain(address), Err: fmt.Errorf("want %s, as the listing says, got %s", e.sum, sum)}
	}
	size := facts.Size
	if size < 0 {
		size = e.size
	}
	switch {
	case sum == (fetch.Sum{}):
		return bad("want a hash, of which the server tells none")
	case e.size >= 0 && size != e.size:
		return nil, &fetch.Error{Kind: fetch.Changed, Where: fetch.Plain(address), Err: fmt.Errorf("want %d bytes, as the listing says, got %d", e.size, size)}
	}
	r.file = fetch.File{Name: e.path, Size: size, Sum: sum, ETag: facts.ETag}
	at := facts.Commit
	if at == "" {
		at = rev
	}
	for i, endpoint := range slices.Concat([]string{h.endpoint()}, h.Mirrors) {
		src := fetch.Source{URL: fileURL(strings.TrimRight(endpoint, "/"), repo, at, e.path)}
		if i == 0 {
			src.Token = h.Token
		}
		r.file.Sources = append(r.file.Sources, src)
	}
	return r, nil
}

// remoteURL asks for the facts of a file at an address of no hub.
func (h *Hub) remoteURL(ctx context.Context, n Name) (*remote, error) {
	src := fetch.Source{URL: n.URL}
	facts, err := fetch.Ask(ctx, h.Fetch, src)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(n.URL)
	if err != nil {
		return nil, err
	}
	r := &remote{folder: n.folder(), rev: mainRev, path: path.Base(u.Path)}
	r.file = fetch.File{Name: r.path, Size: facts.Size, Sum: fetch.Sum{SHA256: n.Sum}, ETag: facts.ETag, Sources: []fetch.Source{src}}
	r.blob = n.Sum
	if r.blob == "" { // another content has another identity, date or size
		r.blob = hexHash(n.URL, facts.ETag, facts.Date, fmt.Sprint(facts.Size))
	}
	r.commit = r.blob
	return r, nil
}
