package weights

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// File is an open model file.
type File struct {
	Path     string                    // as given to Open; in a directory, the file inside that holds the model or its index
	Format   string                    // container: "safetensors", "GGUF", …
	Layout   string                    // naming scheme found inside: "original", "web-rwkv", …
	Evidence string                    // what decided the layout, for people
	Tensors  map[string]*tensor.Tensor // by original name; bytes are valid until Close
	Unread   map[string]string         // the types, as the file names them, of tensors that cannot be read, by original name
	Meta     map[string]string         // the container's own annotations; never nil

	// Vocab is the tokenizer that came with the model: the bytes of every token by id, nil for ids that stand for no
	// text (end of document, padding). It is nil if the file has no World tokenizer, else as long as the vocabulary.
	Vocab [][]byte

	// RescaleEvery is n > 0 in a v6 file that stores att.output.weight and ffn.value.weight of layer i divided by 2^(i/n),
	// rounded down. A program that uses fp16 then halves the hidden vector after every n-th layer.
	RescaleEvery int

	// EmbeddingNormed reports whether the rows of emb.weight are stored as they leave blocks.0.ln0. Then the file has no
	// blocks.0.ln0.
	EmbeddingNormed bool

	Claims   []Claim  // sizes that the file states, to be compared with the tensors
	Epsilons Epsilons // of norms, as the file states them

	// Tied reports whether head.weight is emb.weight under another name, so that the file stores it once.
	Tied bool

	// Functions has the tensors that are not Plain, by name: functions of the original numbers.
	Functions map[string]Function

	// Base is the file as it was stored, and Sources are the other files that its tensors are made from. They are nil
	// unless the File is one of With.
	Base    *File
	Sources []Source

	size int
	hold *hold
}

// hold guards the bytes behind a File's tensors against use after Close.
type hold struct {
	sync.RWMutex
	path   string
	closed bool
	maps   []*mapping
	loaded atomic.Int64 // bytes of tensors since pages were last given back
}

// mostResident is about how many bytes of loaded tensors stay in memory beside the tensor in use. A mapped page that
// was read counts as the process's own until it is given back.
const mostResident = 16 << 20

// Open maps the model file at path and checks its structure. It does not read tensor data. A path may also name a
// Hugging Face directory, a file in it, or the index.json of a model in several files. If the files change while they
// are open, reads by tensor.Tensor.Use fail with ErrChanged. Every error is an *Error.
func Open(path string) (*File, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return openDirectory(path)
	}
	if dir, name := filepath.Split(path); slices.Contains(directoryFiles, name) {
		if _, err := os.Stat(filepath.Join(dir, configName)); err == nil {
			return openDirectoryFile(filepath.Clean(dir), name)
		}
	}
	m, err := mapFile(path)
	if err != nil {
		return nil, inFile(path, err)
	}
	var f *File
	var index map[string]string
	err = m.use(func(data []byte) (err error) {
		if isIndex(data) {
			index, err = parseIndex(data)
			return err
		}
		f, err = Parse(path, data)
		return err
	})
	if err != nil || index != nil {
		_ = m.close() // an index was read in full, and the error of reading is the one to report
	}
	switch {
	case err != nil:
		return nil, inFile(path, err)
	case index != nil:
		return openSharded(path, index)
	}
	f.hold.maps = []*mapping{m}
	return f, nil
}

func kind(m os.FileMode) string {
	if m.IsDir() {
		return "a directory"
	}
	return "a special file (" + m.Type().String() + ")"
}

// Parse is Open for a model file already in memory; path only names it in errors. The tensors alias data, which must
// not change. Every error is an *Error.
func Parse(path string, data []byte) (*File, error) {
	format, c, err := read(data)
	if err != nil {
		return nil, inFile(path, err)
	}
	return newFile(path, format, c, len(data))
}

// newFile makes a File of the contents of size bytes.
func newFile(path, format string, c contents, size int) (*File, error) {
	f := &File{Path: path, Format: format, Meta: c.meta, Functions: c.functions, Vocab: c.vocab, RescaleEvery: c.rescale, size: size, hold: &hold{path: path}}
	if f.Meta == nil {
		f.Meta = map[string]string{}
	}
	if err := f.name(c); err != nil {
		return nil, inFile(path, err)
	}
	if err := (&statement{f: f, config: c.config}).read(); err != nil {
		return nil, err
	}
	return f, nil
}

// Names returns the tensors' names, sorted.
func (f *File) Names() []string {
	names := make([]string, 0, len(f.Tensors))
	for n := range f.Tensors {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Bytes returns the size of the file, or of all files of the model.
func (f *File) Bytes() int { return f.size }

// Divisor returns the divisor of the named tensor's stored numbers: a power of two, 1 for most. See RescaleEvery.
func (f *File) Divisor(name string) int {
	rest, ok := strings.CutPrefix(name, "blocks.")
	layer, part, _ := strings.Cut(rest, ".")
	i, err := strconv.Atoi(layer)
	if f.RescaleEvery == 0 || !ok || err != nil || part != "att.output.weight" && part != "ffn.value.weight" {
		return 1
	}
	return 1 << min(max(i/f.RescaleEvery, 0), 30)
}

// Tensor returns the named tensor. The error is an *Error about its type, or one that wraps ErrMissing and names the
// most similar tensor.
func (f *File) Tensor(name string) (*tensor.Tensor, error) {
	if t, ok := f.Tensors[name]; ok {
		return t, nil
	}
	if typ, ok := f.Unread[name]; ok {
		return nil, unreadError(f.Path, f.Format, name, typ)
	}
	err := ErrMissing
	if near := nearest(name, f.Tensors); near != "" {
		err = fmt.Errorf("%w (it has %s)", ErrMissing, near)
	}
	return nil, &Error{File: f.Path, Tensor: name, Err: err}
}

// Close unmaps the file. Bytes loaded from it must not be used afterwards, unless tensor.Hold keeps them. Load fails. A
// second Close does nothing.
func (f *File) Close() error {
	for _, s := range f.Sources {
		_ = s.Close() // read only
	}
	h := f.hold
	h.Lock()
	defer h.Unlock()
	if h.closed {
		return nil
	}
	h.closed = true
	if err := closeMappings(h.maps); err != nil {
		return &Error{File: f.Path, Field: "close", Err: err}
	}
	return nil
}

// open runs read while the bytes are sure to stay mapped. If many pages of earlier calls are in memory, it gives them
// back first, unless an executor holds the file, which reads them again and again. A goroutine that still reads them
// gets them again from the system's cache.
func (h *hold) open(tensor string, read func() ([]byte, error)) ([]byte, error) {
	h.RLock()
	defer h.RUnlock()
	if h.closed {
		return nil, &Error{File: h.path, Tensor: tensor, Err: ErrClosed}
	}
	if h.loaded.Load() > mostResident {
		h.loaded.Store(0)
		for _, m := range h.maps {
			if m.watch != nil && !m.watch.Held() {
				giveBack(m.data)
			}
		}
	}
	data, err := read()
	h.loaded.Add(int64(len(data)))
	return data, err
}
