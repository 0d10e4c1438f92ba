package hub

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/hub/fetch"
)

// Name is what a user calls a model. One of Family, Repo and URL is set.
type Name struct {
	Family string // such as g1
	Size   string // of a family's model, such as 2.9b
	Date   string // of a family's model, such as 20260710; "" for the newest

	Repo string // OWNER/REPO on the hub
	File string // in the repository; "" for the only model there
	Rev  string // branch, tag or commit; "" for main

	URL string // of a file on any server
	Sum string // its SHA-256, "" if nobody tells it
}

// NameError says that a text is no model's name.
type NameError struct {
	Text string
	Want string
}

func (e *NameError) Error() string { return fmt.Sprintf("want %s, got %q", e.Want, e.Text) }

const (
	hubPrefix = "hf:"
	mainRev   = "main"
	sumPrefix = "sha256="
)

var (
	familyName = regexp.MustCompile(`^([a-z][a-z0-9-]*):([0-9]+(?:\.[0-9]+)?b)(?:@(20[0-9]{6}))?$`)
	scheme     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)
	repoName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$`)
	hubAddress = regexp.MustCompile(`^/([^/]+/[^/]+)/(?:resolve|blob)/([^/]+)/(.+)$`)
)

// IsName reports whether a text looks like a model's name rather than a path. A file of that name may be there all the
// same.
func IsName(text string) bool {
	if strings.HasPrefix(text, hubPrefix) || isAddress(text) {
		return true
	}
	m := familyName.FindStringSubmatch(strings.ToLower(text))
	return len(m) > 1 && m[1] != "synthetic"
}

// isAddress reports whether a text is an address, of whatever scheme: no file has such a name.
func isAddress(text string) bool { return scheme.MatchString(text) }

// Parse reads a model's name. Its error is a *NameError.
func Parse(text string) (Name, error) {
	switch {
	case isAddress(text):
		return parseAddress(text)
	case strings.HasPrefix(text, hubPrefix):
		return parseRepo(text)
	}
	m := familyName.FindStringSubmatch(strings.ToLower(text))
	if m == nil {
		return Name{}, &NameError{text, "a name such as g1:2.9b, g1:2.9b@20260710, hf:OWNER/REPO/FILE or an address"}
	}
	if _, ok := familyOf(m[1]); !ok {
		return Name{}, &NameError{text, "a family of " + strings.Join(familyNames(), ", ")}
	}
	return Name{Family: m[1], Size: m[2], Date: m[3]}, nil
}

// parseRepo reads hf:OWNER/REPO[/FILE][@REV].
func parseRepo(text string) (Name, error) {
	rest, rev, _ := cutLast(strings.TrimPrefix(text, hubPrefix), "@")
	parts := strings.SplitN(rest, "/", 3)
	n := Name{Rev: rev}
	if len(parts) > 1 {
		n.Repo = parts[0] + "/" + parts[1]
	}
	if len(parts) == 3 {
		n.File = parts[2]
	}
	if !repoName.MatchString(n.Repo) || strings.Contains(n.Repo, "--") || len(parts) == 3 && !isPath(n.File) ||
		strings.HasSuffix(text, "@") || rev != "" && !isPath(rev) {
		return Name{}, &NameError{text, "hf:OWNER/REPO, hf:OWNER/REPO/FILE, and @REV behind either"}
	}
	return n, nil
}

// isPath reports whether a text is a path of plain names below a folder, on every system.
func isPath(text string) bool {
	return fs.ValidPath(text) && text != "." && !strings.ContainsAny(text, "\\:*?\"<>|\x00")
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// hubHosts are the hosts whose addresses of files are names of the hub's files too.
var hubHosts = map[string]bool{"huggingface.co": true, "hf-mirror.com": true, "hf.co": true}

// parseAddress reads an address, with #sha256=HEX behind it if the hash is known. Its errors show no user, no password
// and no query.
func parseAddress(text string) (Name, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return Name{}, &NameError{fetch.Plain(text), "an address of a file"}
	}
	if u.User != nil {
		return Name{}, &NameError{fetch.Plain(text), "an address without a user and a password"}
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return Name{}, &NameError{fetch.Plain(text), "an address that begins with https:// or http://"}
	}
	sum, told := strings.CutPrefix(u.Fragment, sumPrefix)
	if sum = strings.ToLower(sum); u.Fragment != "" && (!told || !fetch.IsHex(sum, 64)) {
		return Name{}, &NameError{fetch.Plain(text),
			"an address of a file, with nothing or #sha256= and 64 digits behind it"}
	}
	if m := hubAddress.FindStringSubmatch(u.Path); m != nil && hubHosts[u.Hostname()] && sum == "" {
		return parseRepo(hubPrefix + m[1] + "/" + m[3] + "@" + m[2])
	}
	u.Fragment = ""
	if base := path.Base(u.Path); !isPath(base) || !isModelFile(base) {
		return Name{}, &NameError{fetch.Plain(text), "an address of a file that ends in " + modelEndingsText()}
	}
	return Name{URL: u.String(), Sum: sum}, nil
}

// Shown returns the name for people: without the query of an address, which may hold a secret. Find finds the model by
// it too.
func (n Name) Shown() string {
	n.URL = withoutQuery(n.URL)
	return n.String()
}

func withoutQuery(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return address
}

// String returns the text that Parse reads.
func (n Name) String() string {
	switch {
	case n.Family != "" && n.Date != "":
		return n.Family + ":" + n.Size + "@" + n.Date
	case n.Family != "":
		return n.Family + ":" + n.Size
	case n.URL != "" && n.Sum != "":
		return n.URL + "#" + sumPrefix + n.Sum
	case n.URL != "":
		return n.URL
	}
	text := hubPrefix + n.Repo
	if n.File != "" {
		text += "/" + n.File
	}
	if n.Rev != "" && n.Rev != mainRev {
		text += "@" + n.Rev
	}
	return text
}

// repo returns the repository of a name's model, and the revision there.
func (n Name) repo() (repo, rev string) {
	rev = n.Rev
	if rev == "" {
		rev = mainRev
	}
	if f, ok := familyOf(n.Family); ok {
		return f.repo, rev
	}
	return n.Repo, rev
}

// folder returns the name of the folder of a cache that has the name's files.
func (n Name) folder() string {
	if n.URL == "" {
		repo, _ := n.repo()
		return repoPrefix + strings.ReplaceAll(repo, "/", "--")
	}
	u, err := url.Parse(n.URL)
	if err != nil {
		return "" // Parse has read it
	}
	h := sha256.Sum256([]byte(n.URL))
	return urlPrefix + strings.ReplaceAll(u.Hostname(), ":", "-") + "--" + hex.EncodeToString(h[:8])
}
