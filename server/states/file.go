package states

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// A file of the folder is
//
//	magic     8 bytes
//	length    4 bytes, little-endian
//	head      JSON of so many bytes
//	checksum  4 bytes, CRC-32C of all before
//	content   the file of the state
//
// Its name is the id, a dot, what tells it from an earlier file of the same id, and the ending.
const (
	magic    = "rwkvsta1"
	ending   = ".state"
	mostHead = 64 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// head is what a file tells of its state.
type head struct {
	ID      string `json:"id"`
	User    string `json:"user"`
	Name    string `json:"name"`
	Created int64  `json:"created"` // in nanoseconds since 1970
	Written int64  `json:"written"` // likewise
	Tokens  int    `json:"tokens"`
	Lasting bool   `json:"lasting"`
	Origin  string `json:"origin"`
}

// errForm is the error of a file that is none of the folder's.
var errForm = errors.New("not a kept state, or a broken one")

// write writes the file of an entry with its content.
func (e *entry) write(dir string, content []byte) error {
	text, err := json.Marshal(head{e.ID, e.user, e.Name, e.Created.UnixNano(), time.Now().UnixNano(), e.Tokens, e.lasting, e.origin})
	if err != nil {
		return err
	}
	if len(text) > mostHead {
		return fmt.Errorf("states: want names of less than %d bytes together, got %d", mostHead, len(text))
	}
	data := make([]byte, 0, len(magic)+8+len(text)+len(content))
	data = binary.LittleEndian.AppendUint32(append(data, magic...), uint32(len(text)))
	data = append(data, text...)
	data = binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
	path := filepath.Join(dir, e.ID+"."+api.NewID("")[:8]+ending)
	if err := files.Keep(path, append(data, content...), e.lasting); err != nil {
		return err
	}
	e.path = path
	return nil
}

// parse returns the head at the start of a file, and how long it is.
func parse(data []byte) (h head, n int, err error) {
	if len(data) < len(magic)+8 || string(data[:len(magic)]) != magic {
		return h, 0, errForm
	}
	length := binary.LittleEndian.Uint32(data[len(magic):])
	n = len(magic) + 4 + int(min(length, mostHead))
	if length > mostHead || len(data) < n+4 || crc32.Checksum(data[:n], castagnoli) != binary.LittleEndian.Uint32(data[n:]) {
		return h, 0, errForm
	}
	if err := json.Unmarshal(data[len(magic)+4:n], &h); err != nil {
		return h, 0, errForm
	}
	return h, n + 4, nil
}

// look returns the entry of a file.
func look(path string) (*entry, time.Time, error) {
	data, size, err := files.ReadStart(path, int64(len(magic)+8+mostHead))
	if err != nil {
		return nil, time.Time{}, err
	}
	h, n, err := parse(data)
	if err == nil && !strings.HasPrefix(filepath.Base(path), h.ID+".") {
		err = errForm
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	e := &entry{Info: Info{ID: h.ID, Name: h.Name, Created: time.Unix(0, h.Created), Tokens: h.Tokens, Bytes: size - int64(n)},
		user: h.User, origin: h.Origin, lasting: h.Lasting, path: path}
	e.size = e.Bytes
	return e, time.Unix(0, h.Written), nil
}

// scan returns the entries of a folder, which it makes. Of two files of one id the newer one counts: a process has ended
// before it removed the other.
func scan(dir string, broken func(path string, err error)) ([]*entry, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ours := func(name string) bool { return strings.HasSuffix(name, ending) }
	files.Sweep(dir, ours)
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	found, written := map[string]*entry{}, map[string]time.Time{}
	for _, name := range names {
		if !ours(name.Name()) {
			continue
		}
		path := filepath.Join(dir, name.Name())
		e, at, err := look(path)
		if err != nil {
			broken(path, err)
			continue
		}
		if other := found[e.ID]; other != nil {
			if at.Before(written[e.ID]) {
				e, other = other, e
			}
			other.discard()
		}
		if found[e.ID] = e; at.After(written[e.ID]) {
			written[e.ID] = at
		}
	}
	list := make([]*entry, 0, len(found))
	for _, e := range found {
		list = append(list, e)
	}
	return list, nil
}

// read returns the file of an entry's state. If another state has taken its place meanwhile, it returns that one's.
func (s *Store) read(e *entry) (*entry, []byte, error) {
	for {
		data, err := files.ReadRegular(e.path, int64(len(magic)+8+mostHead)+e.Bytes)
		if errors.Is(err, fs.ErrNotExist) {
			if e = s.another(e); e == nil {
				return nil, nil, ErrNone
			}
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		_, n, err := parse(data)
		if err == nil && int64(len(data)-n) != e.Bytes {
			err = errForm
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", e.path, err)
		}
		return e, data[n:], nil
	}
}

// another returns the entry that has taken the place of one whose file is gone. If there is none, somebody else has
// removed the file: then the entry goes too.
func (s *Store) another(e *entry) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.use(e.user, e.ID)
	if now == e {
		s.remove(e)
		return nil
	}
	return now
}

// discard removes the file of an entry.
func (e *entry) discard() {
	if e.path != "" {
		_ = os.Remove(e.path) // if it stays, it is there after a restart
	}
}
