package hub

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Names of all forms are read, and String returns what Parse reads.
func TestParse(t *testing.T) {
	sum := strings.Repeat("ab", 32)
	for text, want := range map[string]Name{
		"g1:2.9b":                   {Family: "g1", Size: "2.9b"},
		"G1:0.4B@20260710":          {Family: "g1", Size: "0.4b", Date: "20260710"},
		"g1h:7.2b":                  {Family: "g1h", Size: "7.2b"},
		"g1-st:2.9b":                {Family: "g1-st", Size: "2.9b"},
		"hf:o/r":                    {Repo: "o/r"},
		"hf:o/r@v1":                 {Repo: "o/r", Rev: "v1"},
		"hf:O-x/R.y_z/a/b.pth":      {Repo: "O-x/R.y_z", File: "a/b.pth"},
		"hf:o/r/a@1%.pth@refs/pr/1": {Repo: "o/r", File: "a@1%.pth", Rev: "refs/pr/1"},
		"https://h/x/y.gguf?a=b":    {URL: "https://h/x/y.gguf?a=b"},
		"https://h/y.gguf#sha256=" + strings.ToUpper(sum): {URL: "https://h/y.gguf", Sum: sum},
		"https://huggingface.co/o/r/resolve/main/a/b.pth": {Repo: "o/r", File: "a/b.pth", Rev: "main"},
		"https://hf-mirror.com/o/r/blob/v1/b.pth":         {Repo: "o/r", File: "b.pth", Rev: "v1"},
	} {
		n, err := Parse(text)
		if err != nil || n != want || !IsName(text) {
			t.Errorf("%s: want %+v, got %+v (%v)", text, want, n, err)
			continue
		}
		if again, err := Parse(n.String()); err != nil || again.String() != n.String() {
			t.Errorf("%s: %s reads as %+v (%v)", text, n, again, err)
		}
	}
	for _, text := range []string{"", "g1", "g1:", "g1:big", "g9:1b", "g1:1b@yesterday", "hf:", "hf:o", "hf:o/", "hf:/r", "hf:o/r/", "hf:o/r/../x", "hf:o/r/a//b",
		"hf:o/r@", "hf:o/r/\\x", "hf:o--p/r", "hf:o/..", "https://", "https://h", "https://h/", "https://h/x#y", "https://h/x#sha256=12", "ftp://h/x"} {
		var told *NameError
		if n, err := Parse(text); !errors.As(err, &told) {
			t.Errorf("%q: want an error, got %+v (%v)", text, n, err)
		}
	}
	for _, path := range []string{"", "model.pth", "./g1:2.9b.pth", `C:\models\x.pth`, "/models/x", "synthetic:0.1b", "a:b"} {
		if IsName(path) {
			t.Errorf("%q is a path", path)
		}
	}
}

// An address that cannot be a model's is told apart before anything is fetched, and no error shows what may be secret.
func TestParseAddressErrors(t *testing.T) {
	for text, want := range map[string]string{
		"https://h/download?id=secret":        `want an address of a file that ends in .pth, .safetensors, .st, .gguf or .bin, got "https://h/download"`,
		"https://h/model.zip":                 `or .bin, got "https://h/model.zip"`,
		"https://me:secret@h/x.pth":           `want an address without a user and a password, got "https://h/x.pth"`,
		"https://me@h/x.pth":                  `want an address without a user and a password, got "https://h/x.pth"`,
		"https://h/x.pth?key=secret#sha256=1": `64 digits behind it, got "https://h/x.pth"`,
		"https://h/x.pth#access_token=secret": `64 digits behind it, got "https://h/x.pth"`,
		"ftp://h/x.pth?key=secret":            `want an address that begins with https:// or http://, got "ftp://h/x.pth"`,
		"HTTPS://h/x.zip?key=secret":          `or .bin, got "https://h/x.zip"`,
	} {
		if n, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: want %s, got %+v (%v)", text, want, n, err)
		}
	}
}

// The newest date wins, then the longest context, in whatever order the files are.
func TestNewest(t *testing.T) {
	files := []string{"rwkv7-g1a-0.4b-20250905-ctx4096.pth", "rwkv7-g1d-0.4b-20260210-ctx4096.pth", "rwkv7-g1d-0.4b-20260210-ctx8192.pth",
		"rwkv7-g1h-2.9b-20261010-ctx10240.pth", "rwkv7-g1-0.4b-20990101-ctx4096.txt", "other-0.4b-20990101-ctx4096.pth"}
	for text, want := range map[string]string{"g1:0.4b": files[2], "g1a:0.4b": files[0], "g1:2.9b": files[3], "g1:0.4b@20250905": files[0],
		"g1:1.5b": "", "g1h:0.4b": ""} {
		for range files {
			files = append(files[1:], files[0])
			if got, _ := parse(t, text).newest(files); got != want {
				t.Errorf("%s: want %q, got %q", text, want, got)
			}
		}
	}
	f, _ := familyOf("world6")
	if p, ok := f.publishedAs("RWKV-x060-World-1B6-v2.1-20240328-ctx4096.pth"); !ok || p.size != "1.6b" || p.date != "20240328" || p.context != 4096 {
		t.Errorf("%+v", p)
	}
}

// The environment of huggingface_hub says where its cache and its token are. A token of a file is for its own hub alone.
func TestEnvironment(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{endpointEnv, tokenEnv, tokenPathEnv, homeEnv, cacheEnv, offlineEnv} {
		t.Setenv(name, "")
	}
	t.Setenv("XDG_CACHE_HOME", dir)
	if e := ReadEnvironment(); e.Cache != Cache(filepath.Join(dir, "huggingface", "hub")) || e.Offline || e.TokenFor("") != "" {
		t.Errorf("%+v", e)
	}
	t.Setenv(homeEnv, filepath.Join(dir, "home"))
	if e := ReadEnvironment(); e.Cache != Cache(filepath.Join(dir, "home", "hub")) {
		t.Errorf("%+v", e)
	}
	t.Setenv(cacheEnv, filepath.Join(dir, "cache"))
	t.Setenv(offlineEnv, "1")
	t.Setenv(tokenPathEnv, write(t, filepath.Join(dir, "token"), "saved\n"))
	e := ReadEnvironment()
	if e.Cache != Cache(filepath.Join(dir, "cache")) || !e.Offline {
		t.Errorf("%+v", e)
	}
	if e.TokenFor("") != "saved" || e.TokenFor(DefaultEndpoint+"/") != "saved" || e.TokenFor("https://mirror.example") != "" {
		t.Errorf("%+v", e)
	}
	t.Setenv(tokenEnv, "told")
	if e := ReadEnvironment(); e.TokenFor("") != "told" || e.TokenFor("https://mirror.example") != "told" {
		t.Errorf("%+v", e)
	}
}

// Folders that were chosen are kept once each, those of a disk that is not there now too.
func TestFolders(t *testing.T) {
	dir := t.TempDir()
	f := Folders(filepath.Join(dir, "data", "folders"))
	if list := f.List(); list != nil {
		t.Errorf("want none, got %v", list)
	}
	a, b := Cache(t.TempDir()), Cache(filepath.Join(dir, "gone"))
	for _, c := range []Cache{a, b, a} {
		if err := f.Add(c); err != nil {
			t.Fatal(err)
		}
	}
	if list := f.List(); len(list) != 2 || list[0] != a || list[1] != b {
		t.Errorf("want %s and %s, got %v", a, b, list)
	}
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
