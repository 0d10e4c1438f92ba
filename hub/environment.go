package hub

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// The environment of huggingface_hub, which other programs of a user go by too.
const (
	endpointEnv  = "HF_ENDPOINT"
	tokenEnv     = "HF_TOKEN"
	tokenPathEnv = "HF_TOKEN_PATH"
	homeEnv      = "HF_HOME"
	cacheEnv     = "HF_HUB_CACHE"
	offlineEnv   = "HF_HUB_OFFLINE"
)

// Environment is what the environment says about the hub.
type Environment struct {
	Endpoint string
	Token    string // HF_TOKEN, "" for none
	Saved    string // the token of a file, which is for DefaultEndpoint alone; "" for none
	Cache    Cache  // of huggingface_hub, "" if there is no home
	Offline  bool   // reports whether no server may be asked
}

const mostToken = 4 << 10

// ReadEnvironment reads the variables of huggingface_hub.
func ReadEnvironment() Environment {
	e := Environment{Endpoint: strings.TrimSpace(os.Getenv(endpointEnv)), Token: strings.TrimSpace(os.Getenv(tokenEnv))}
	home := os.Getenv(homeEnv)
	if home == "" {
		base := os.Getenv("XDG_CACHE_HOME")
		if user, err := os.UserHomeDir(); base == "" && err == nil {
			base = filepath.Join(user, ".cache")
		}
		if base != "" {
			home = filepath.Join(base, "huggingface")
		}
	}
	switch {
	case os.Getenv(cacheEnv) != "":
		e.Cache = Cache(os.Getenv(cacheEnv))
	case home != "":
		e.Cache = Cache(filepath.Join(home, "hub"))
	}
	path := os.Getenv(tokenPathEnv)
	if path == "" && home != "" {
		path = filepath.Join(home, "token")
	}
	if data, err := files.ReadRegular(path, mostToken); err == nil { // most users have none
		e.Saved = strings.TrimSpace(string(data))
	}
	switch strings.ToUpper(os.Getenv(offlineEnv)) {
	case "1", "ON", "YES", "TRUE":
		e.Offline = true
	}
	return e
}

// TokenFor returns the token for an endpoint.
func (e *Environment) TokenFor(endpoint string) string {
	if e.Token == "" && (endpoint == "" || strings.TrimRight(endpoint, "/") == DefaultEndpoint) {
		return e.Saved
	}
	return e.Token
}
