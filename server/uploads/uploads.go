package uploads

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// Options say how much is kept, and where.
type Options struct {
	Dir     string // the folder, which is made
	Bytes   int64  // of all files
	PerUser int64  // of the files of each user; 0 is Bytes
	Most    int64  // of one file that a client sends; 0 is Bytes
	// Made reports whether an id without a file is one that Adopt will be called for, so its content stays; nil for none.
	Made func(id string) bool
}

// ErrNone is the error for an id that stands for no file of the user.
var ErrNone = errors.New("uploads: there is no file of this id")

// FullError is the error of a file for which there is no room.
type FullError struct {
	Limit int64 // bytes
	What  Limit
}

// Limit is what bounds a file.
type Limit int

// The bounds of files.
const (
	OfFile Limit = iota // of one file
	OfUser              // of a user's files together
	OfAll               // of all files together
)

func (e *FullError) Error() string {
	return fmt.Sprintf("uploads: want at most %d bytes, got more", e.Limit)
}

// Info tells of a file.
type Info struct {
	ID      string `json:"id"`
	User    string `json:"user"`
	Name    string `json:"name"` // that the client gave it
	Purpose string `json:"purpose"`
	Bytes   int64  `json:"bytes"`
	Created int64  `json:"created"` // in seconds since 1970
}

// Store keeps files. Its methods may be called by any goroutine.
type Store struct {
	o Options

	mu    sync.Mutex
	files map[string]*Info
	bytes int64 // of all files, and of those that come
	taken map[string]int64
}

const (
	headEnding    = ".json"
	contentEnding = ".data"
	mostHead      = 64 << 10
)

// Open returns the store of a folder. Files in it that are none of the store's stay, and broken is told of them.
func Open(o Options, broken func(path string, err error)) (*Store, error) {
	if o.PerUser <= 0 || o.PerUser > o.Bytes {
		o.PerUser = o.Bytes
	}
	if o.Most <= 0 || o.Most > o.Bytes {
		o.Most = o.Bytes
	}
	s := &Store{o: o, files: map[string]*Info{}, taken: map[string]int64{}}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	files.Sweep(o.Dir, func(string) bool { return true })
	list, err := os.ReadDir(o.Dir)
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if id, ok := strings.CutSuffix(e.Name(), headEnding); ok {
			if err := s.recall(id); err != nil {
				broken(filepath.Join(o.Dir, e.Name()), err)
			}
		}
	}
	for _, e := range list { // content without a head is that of an upload that a killed process began
		id, ok := strings.CutSuffix(e.Name(), contentEnding)
		if !ok || s.files[id] != nil || o.Made != nil && o.Made(id) {
			continue
		}
		if _, err := os.Lstat(s.path(id, headEnding)); errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(s.path(id, contentEnding)) // or after the next start
		}
	}
	return s, nil
}

func (s *Store) path(id, ending string) string { return filepath.Join(s.o.Dir, id+ending) }

// recall reads the head of a file that is there.
func (s *Store) recall(id string) error {
	data, err := files.ReadRegular(s.path(id, headEnding), mostHead)
	if err != nil {
		return err
	}
	i := new(Info)
	if err := json.Unmarshal(data, i); err != nil || i.ID != id {
		return errors.New("not the head of a file, or a broken one")
	}
	content, err := os.Stat(s.path(id, contentEnding))
	if err != nil {
		return err
	}
	i.Bytes = content.Size()
	s.files[id] = i
	s.take(i.User, i.Bytes)
	return nil
}

// take counts bytes of a user's. The lock is held, unless nobody else has the store.
func (s *Store) take(user string, n int64) {
	s.bytes += n
	if s.taken[user] += n; s.taken[user] == 0 {
		delete(s.taken, user)
	}
}

// Create keeps what fill writes as a file. The error is a *FullError, that of fill or of the disk, and then nothing of it
// stays.
func (s *Store) Create(user, purpose string, fill func(io.Writer) (name string, err error)) (Info, error) {
	i := Info{ID: api.NewID("file-"), User: user, Purpose: purpose, Created: time.Now().Unix()}
	in := &coming{s: s, user: user}
	err := files.Replace(s.path(i.ID, contentEnding), func(w io.Writer) (err error) {
		in.to = w
		i.Name, err = fill(in)
		return err
	}, nil)
	if i.Bytes = in.n; err == nil {
		err = s.keep(&i)
	}
	if err != nil {
		_ = os.Remove(s.path(i.ID, contentEnding)) // there may be none
		s.mu.Lock()
		defer s.mu.Unlock()
		s.take(user, -in.n)
		return Info{}, err
	}
	return i, nil
}

// coming is a file that comes.
type coming struct {
	s    *Store
	user string
	to   io.Writer
	n    int64
}

// Write writes more of the file, if there is room.
func (c *coming) Write(b []byte) (int, error) {
	if err := c.s.room(c.user, c.n, int64(len(b))); err != nil {
		return 0, err
	}
	c.n += int64(len(b))
	return c.to.Write(b)
}

// room takes room for more of a file.
func (s *Store) room(user string, has, more int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case has+more > s.o.Most:
		return &FullError{s.o.Most, OfFile}
	case s.taken[user]+more > s.o.PerUser:
		return &FullError{s.o.PerUser, OfUser}
	case s.bytes+more > s.o.Bytes:
		return &FullError{s.o.Bytes, OfAll}
	}
	s.take(user, more)
	return nil
}

// keep writes the head of a file whose content is there and whose bytes are taken.
func (s *Store) keep(i *Info) error {
	data, err := json.Marshal(i)
	if err != nil {
		return err
	}
	if err := files.Keep(s.path(i.ID, headEnding), data, true); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := *i
	s.files[i.ID] = &kept
	return nil
}

// NewID returns an id for a file that Adopt keeps later.
func (s *Store) NewID() string { return api.NewID("file-") }

// ContentPath returns where the content of a file is, or is to be written for Adopt.
func (s *Store) ContentPath(id string) string { return s.path(id, contentEnding) }

// Adopt keeps a file whose content was written to ContentPath, whatever room there is: what was made for a user is not
// thrown away. It may be called again.
func (s *Store) Adopt(id, user, name, purpose string) (Info, error) {
	if i, err := s.Info(user, id); err == nil {
		return i, nil
	}
	content, err := os.Stat(s.ContentPath(id))
	if err != nil {
		return Info{}, err
	}
	i := Info{id, user, name, purpose, content.Size(), time.Now().Unix()}
	if err := s.keep(&i); err != nil {
		return Info{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(user, i.Bytes)
	return i, nil
}

// List tells of a user's files, the newest first.
func (s *Store) List(user string) []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Info
	for _, i := range s.files {
		if i.User == user {
			list = append(list, *i)
		}
	}
	slices.SortFunc(list, func(a, b Info) int { return cmp.Or(cmp.Compare(b.Created, a.Created), cmp.Compare(a.ID, b.ID)) })
	return list
}

// find returns a user's file. The lock is held.
func (s *Store) find(user, id string) (*Info, error) {
	if i := s.files[id]; i != nil && i.User == user {
		return i, nil
	}
	return nil, ErrNone
}

// Info tells of a user's file. The error is ErrNone.
func (s *Store) Info(user, id string) (Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.find(user, id)
	if err != nil {
		return Info{}, err
	}
	return *i, nil
}

// Content opens the content of a user's file. The error is ErrNone, or of the disk.
func (s *Store) Content(user, id string) (*os.File, Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.find(user, id)
	if err != nil {
		return nil, Info{}, err
	}
	f, err := os.Open(s.ContentPath(id))
	return f, *i, err
}

// Delete removes a user's file. The error is ErrNone, or of the disk.
func (s *Store) Delete(user, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, err := s.find(user, id)
	if err != nil {
		return err
	}
	if err := os.Remove(s.path(id, headEnding)); err != nil && !errors.Is(err, fs.ErrNotExist) { // without which it is none
		return err
	}
	delete(s.files, id)
	s.take(user, -i.Bytes)
	_ = os.Remove(s.ContentPath(id)) // or after the next start
	files.SyncFolder(s.o.Dir)        // or the file would be there again after a loss of power
	return nil
}

// Stats counts files and their bytes.
func (s *Store) Stats() (n int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.files), s.bytes
}
