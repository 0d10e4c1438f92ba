package batches

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/uploads"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// The purposes of files.
const (
	purposeBatch  = "batch"        // requests that a client has uploaded
	purposeOutput = "batch_output" // results of a batch
)

// File is what clients are told of a file.
type File struct {
	ID      string `json:"id"`
	Object  string `json:"object"` // file
	Bytes   int64  `json:"bytes"`
	Created int64  `json:"created_at"`
	Name    string `json:"filename"`
	Purpose string `json:"purpose"`
	Status  string `json:"status"` // processed
}

func told(i uploads.Info) File {
	return File{i.ID, "file", i.Bytes, i.Created, i.Name, i.Purpose, "processed"}
}

// DeletedFile says that a file is gone.
type DeletedFile struct {
	ID      string `json:"id"`
	Object  string `json:"object"` // file
	Deleted bool   `json:"deleted"`
}

// fileFault returns the error of HTTP for one of package uploads. The field is where the client named the file.
func (s *Service) fileFault(param string, err error) *wire.Error {
	var full *uploads.FullError
	var own *wire.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, uploads.ErrNone):
		return &wire.Error{Status: http.StatusNotFound, Param: param, Code: "file_not_found", Message: param + ": there is no file of this id"}
	case errors.As(err, &full) && full.What == uploads.OfFile:
		return &wire.Error{Status: http.StatusRequestEntityTooLarge, Param: "file", Code: "file_too_large",
			Message: fmt.Sprintf("file: want at most %d bytes, got more", full.Limit)}
	case errors.As(err, &full):
		whose := map[uploads.Limit]string{uploads.OfUser: "this key may keep", uploads.OfAll: "this server keeps"}[full.What]
		return &wire.Error{Status: http.StatusForbidden, Param: "file", Code: "files_full",
			Message: fmt.Sprintf("file: want room among the %d bytes of files that %s, got too little: delete files", full.Limit, whose)}
	}
	return s.diskFault(err)
}

// upload keeps the file of a form. Its bytes go to the disk as they come.
func (s *Service) upload(w http.ResponseWriter, c *api.Call) *wire.Error {
	c.Stream(w, s.most()+mostForm)
	form, err := c.MultipartReader()
	if err != nil {
		return &wire.Error{Status: http.StatusBadRequest, Code: "invalid_type", Message: "the body: want a form (multipart/form-data), got another Content-Type"}
	}
	u := &uploading{form: form}
	i, failed := s.files.Create(c.User, purposeBatch, u.read)
	if failed != nil {
		return s.fileFault("file", failed)
	}
	reply(w, told(i))
	return nil
}

// most returns how many bytes a file may have.
func (s *Service) most() int64 {
	if m := s.o.Uploads.Most; m > 0 {
		return min(m, s.o.Uploads.Bytes)
	}
	return s.o.Uploads.Bytes
}

// uploading is a form that comes.
type uploading struct {
	form    *multipart.Reader
	name    string
	purpose string
	file    bool
}

const (
	mostField = 1 << 10 // bytes of a field of a form that is no file
	mostForm  = 1 << 20 // bytes of a form besides the file
)

// read reads the form, and writes the file in it.
func (u *uploading) read(to io.Writer) (string, error) {
	for {
		part, err := u.form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = u.part(part, to)
		}
		if err != nil {
			return "", formFault(err)
		}
	}
	switch {
	case u.purpose == "":
		return "", wire.Missing("purpose", purposeBatch)
	case !u.file:
		return "", wire.Missing("file", "a file")
	}
	return u.name, nil
}

// part reads one part of the form.
func (u *uploading) part(part *multipart.Part, to io.Writer) error {
	switch part.FormName() {
	case "purpose":
		text, err := io.ReadAll(io.LimitReader(part, mostField))
		if err != nil {
			return err
		}
		if u.purpose = string(text); u.purpose != purposeBatch {
			return wire.Wrong("purpose", purposeBatch, "another string")
		}
	case "file":
		if u.file {
			return wire.Wrong("file", "one file", "several")
		}
		u.file, u.name = true, nameOf(part.FileName())
		_, err := io.Copy(to, part)
		return err
	default: // which is left out, as an unknown field is
		_, err := io.Copy(io.Discard, io.LimitReader(part, mostField))
		return err
	}
	return nil
}

// nameOf returns a name that a client gave to a file, for a list.
func nameOf(name string) string {
	const most = 256
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) {
			return -1
		}
		return r
	}, name)
	if runes := []rune(name); len(runes) > most {
		name = string(runes[:most])
	}
	if name == "" {
		return "file"
	}
	return name
}

// formFault returns the error of a form that could not be read, and others as they are.
func formFault(err error) error {
	var own *wire.Error
	var full *uploads.FullError
	var disk *fs.PathError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &own), errors.As(err, &full), errors.As(err, &disk):
		return err
	case errors.As(err, &large):
		return &wire.Error{Status: http.StatusRequestEntityTooLarge, Code: "request_too_large",
			Message: fmt.Sprintf("the body is larger than the %d bytes that this server takes", large.Limit)}
	}
	return &wire.Error{Status: http.StatusBadRequest, Code: "invalid_form", Message: "the body: want a whole form (multipart/form-data), got a part of one, or another text"}
}

// listFiles lists a user's files, the newest first or, with order=asc, the oldest.
func (s *Service) listFiles(w http.ResponseWriter, c *api.Call) *wire.Error {
	q := c.URL.Query()
	list := []File{}
	for _, i := range s.files.List(c.User) {
		if p := q.Get("purpose"); p == "" || p == i.Purpose {
			list = append(list, told(i))
		}
	}
	switch q.Get("order") {
	case "", "desc":
	case "asc":
		slices.Reverse(list)
	default:
		return wire.Wrong("order", "asc or desc", "another string")
	}
	p, err := page(list, func(f File) string { return f.ID }, q, 10_000, 10_000)
	if err != nil {
		return err
	}
	reply(w, p)
	return nil
}

func (s *Service) oneFile(w http.ResponseWriter, c *api.Call) *wire.Error {
	i, err := s.files.Info(c.User, c.PathValue("id"))
	if err != nil {
		return s.fileFault("id", err)
	}
	reply(w, told(i))
	return nil
}

func (s *Service) deleteFile(w http.ResponseWriter, c *api.Call) *wire.Error {
	id := c.PathValue("id")
	s.mu.Lock() // so no batch of the file is made meanwhile
	defer s.mu.Unlock()
	if len(s.sorted(func(r *record) bool { return r.User == c.User && r.Input == id && !r.over() })) > 0 {
		return &wire.Error{Status: http.StatusConflict, Param: "id", Code: "file_in_use", Message: "id: a batch that is not over reads this file"}
	}
	if err := s.files.Delete(c.User, id); err != nil {
		return s.fileFault("id", err)
	}
	reply(w, DeletedFile{id, "file", true})
	return nil
}

func (s *Service) content(w http.ResponseWriter, c *api.Call) *wire.Error {
	f, i, err := s.files.Content(c.User, c.PathValue("id"))
	if err != nil {
		return s.fileFault("id", err)
	}
	defer func() { _ = f.Close() }() // read only
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(i.Bytes, 10))
	if c.Method != http.MethodHead {
		_, _ = io.Copy(w, f) // if the client has left, nobody is there to be told
	}
	return nil
}
