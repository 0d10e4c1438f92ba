// Package keys knows who may use a server, and how much of it at once. A key is a secret that a client sends with each
// request; its name is the user whose states, responses and cached texts the request may touch. Names are no secrets: they
// stand in logs and metrics.
package keys

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// User is who a key belongs to.
type User struct {
	Name string // "" where the server asks for no keys

	digest [sha256.Size]byte
	atOnce chan struct{} // nil: no limit
	rate   *rate.Limiter // nil: no limit
}

// Ring is the set of keys of a server. The zero value lets everybody in, as one user without a name. It may be used by any
// goroutine once it is made.
type Ring struct {
	users  []*User
	nobody User
}

// maxFile is the largest file of keys that is read, in bytes.
const maxFile = 1 << 20

// Read adds the keys of a file: a line a key, as `name key`, and after it, if wanted, `concurrent=N` for the most requests at
// once and `per-minute=N` for the most that begin within a minute. Empty lines and lines that begin with # are left out.
// An error names the line and never the key.
func (r *Ring) Read(file io.Reader) error {
	lines := bufio.NewScanner(io.LimitReader(file, maxFile+1))
	lines.Buffer(nil, maxFile+1)
	read := 0
	for n := 1; lines.Scan(); n++ {
		if read += len(lines.Bytes()) + 1; read > maxFile {
			return fmt.Errorf("line %d: the file is larger than %d bytes", n, maxFile)
		}
		fields := strings.Fields(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) < 2 {
			return fmt.Errorf("line %d: want `name key`, got %d word", n, len(fields))
		}
		if err := r.add(fields[0], fields[1], fields[2:]); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return lines.Err()
}

// Add adds a key without limits.
func (r *Ring) Add(name, key string) error { return r.add(name, key, nil) }

func (r *Ring) add(name, key string, limits []string) error {
	for _, c := range []byte(name + key) {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("name or key: want visible ASCII characters, got byte %#x", c)
		}
	}
	if name == "" || key == "" {
		return fmt.Errorf("want a name and a key, got an empty one")
	}
	u := &User{Name: name, digest: sha256.Sum256([]byte(key))}
	for _, other := range r.users {
		switch {
		case other.Name == name:
			return fmt.Errorf("name %q is there twice", name)
		case other.digest == u.digest:
			return fmt.Errorf("the key of %q is also that of %q", name, other.Name)
		}
	}
	for i, limit := range limits { // which may be a part of a key that has a space
		what, text, _ := strings.Cut(limit, "=")
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 1e6 {
			return fmt.Errorf("limit %d: want concurrent=N or per-minute=N with N from 1 to 1000000", i+1)
		}
		switch what {
		case "concurrent":
			u.atOnce = make(chan struct{}, n)
		case "per-minute":
			u.rate = rate.NewLimiter(rate.Limit(float64(n)/60), n)
		default:
			return fmt.Errorf("limit %d: want concurrent=N or per-minute=N", i+1)
		}
	}
	r.users = append(r.users, u)
	return nil
}

// Asked reports whether clients have to send a key.
func (r *Ring) Asked() bool { return len(r.users) > 0 }

// User returns whose key a request brings, as `Authorization: Bearer KEY` or `X-Api-Key: KEY`, or nil. The time it takes tells
// nothing of the keys.
func (r *Ring) User(h http.Header) *User {
	if len(r.users) == 0 {
		return &r.nobody
	}
	key := h.Get("X-Api-Key")
	if scheme, token, ok := strings.Cut(h.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		key = strings.TrimSpace(token)
	}
	digest, found := sha256.Sum256([]byte(key)), (*User)(nil)
	for _, u := range r.users {
		if subtle.ConstantTimeCompare(digest[:], u.digest[:]) == 1 {
			found = u
		}
	}
	return found
}

// Most returns how many requests the user may begin together, 0 for any number.
func (u *User) Most() int {
	most := cap(u.atOnce)
	if u.rate != nil && (most == 0 || u.rate.Burst() < most) {
		most = u.rate.Burst()
	}
	return most
}

// Enter begins n requests at a time, all or none, and returns the function that ends them. Where the user has too many, the
// function is nil and wait is how long it may take until there is room, 0 if that is not known.
func (u *User) Enter(now time.Time, n int) (leave func(), wait time.Duration) {
	entered := 0
	leave = func() {
		for range entered {
			<-u.atOnce
		}
	}
	for u.atOnce != nil && entered < n {
		select {
		case u.atOnce <- struct{}{}:
			entered++
		default:
			leave()
			return nil, 0
		}
	}
	if u.rate != nil {
		turn := u.rate.ReserveN(now, n)
		wait := turn.DelayFrom(now)
		if !turn.OK() {
			wait = 0 // there is never room for so many
		}
		if !turn.OK() || wait > 0 {
			turn.CancelAt(now)
			leave()
			return nil, wait
		}
	}
	return leave, 0
}
