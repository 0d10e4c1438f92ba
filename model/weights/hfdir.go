package weights

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// Limits on what stands around the tensors of a directory.
const (
	maxConfig    = 1 << 20  // bytes of config.json
	maxIndex     = 16 << 20 // bytes of an index
	maxShards    = 1 << 10
	maxShardName = 255     // bytes: no file system allows more
	maxListed    = 1 << 12 // entries of a directory that are looked at
)

// directoryFiles are the names under which a model lies in a directory, in the order of preference of transformers.
var directoryFiles = []string{"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"}

// configName is the file beside a model that says what it is.
const configName = "config.json"

// openDirectory opens the model in a Hugging Face directory, or the only model file of any other.
func openDirectory(dir string) (*File, error) {
	for _, name := range directoryFiles {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return openDirectoryFile(dir, name)
		}
	}
	models, err := modelFiles(dir)
	if err != nil {
		return nil, inFile(dir, err)
	}
	if len(models) != 1 {
		got := "no such file"
		if len(models) > 1 {
			got = fmt.Sprintf("%d model files: name one of them (%s)", len(models), clip(strings.Join(models, ", ")))
		}
		return nil, &Error{File: dir, Field: "format", Want: "a directory of one model (" + strings.Join(directoryFiles, ", ") + ")", Got: got}
	}
	return openShards(filepath.Join(dir, models[0]), dir, models, nil)
}

// openDirectoryFile opens the one of directoryFiles in dir.
func openDirectoryFile(dir, name string) (*File, error) {
	path := filepath.Join(dir, name)
	if !strings.HasSuffix(name, ".index.json") {
		return openShards(path, dir, []string{name}, nil)
	}
	index, err := files.ReadRegular(path, maxIndex)
	if err != nil {
		return nil, inFile(path, err)
	}
	where, err := parseIndex(index)
	if err != nil {
		return nil, inFile(path, err)
	}
	return openSharded(path, where)
}

// modelFiles lists the files of a directory that are named like models.
func modelFiles(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = d.Close() }() // read-only
	entries, err := d.ReadDir(maxListed)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if slices.Contains([]string{".safetensors", ".st", ".pth", ".gguf", ".bin"}, filepath.Ext(e.Name())) && !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// isIndex reports whether data is the JSON index of a model in several files.
func isIndex(data []byte) bool {
	return isJSON(data) && len(data) <= maxIndex && bytes.Contains(data, []byte(`"weight_map"`))
}

// openSharded opens the files that the index at path names, given the file of each tensor.
func openSharded(path string, where map[string]string) (*File, error) {
	var shards []string
	for _, shard := range where {
		if slices.Contains(shards, shard) {
			continue
		}
		if shard == "" || len(shard) > maxShardName || shard == "." || shard == ".." || strings.ContainsAny(shard, `/\:`+"\x00") {
			return nil, &Error{File: path, Field: "weight_map", Want: "names of files beside the index", Got: fmt.Sprintf("%q", clip(shard))}
		}
		if shards = append(shards, shard); len(shards) > maxShards {
			return nil, &Error{File: path, Field: "weight_map", Want: fmt.Sprintf("at most %d files", maxShards), Got: "more"}
		}
	}
	slices.Sort(shards)
	return openShards(path, filepath.Dir(path), shards, where)
}

// parseIndex returns the weight_map of an index: the file of each tensor.
func parseIndex(data []byte) (map[string]string, error) {
	bad := func(want, got string) error { return &Error{Field: "weight_map", Want: want, Got: got} }
	var top struct {
		Map json.RawMessage `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &top); err != nil {
		return nil, &Error{Field: "index", Want: "a JSON object", Got: err.Error()}
	}
	d := json.NewDecoder(bytes.NewReader(top.Map)) // not Unmarshal, which keeps the last of equal keys
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, bad("an object of file names", clip(string(top.Map)))
	}
	where := map[string]string{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, bad("JSON", err.Error())
		}
		value, err := d.Token()
		if err != nil {
			return nil, bad("JSON", err.Error())
		}
		name, isString := key.(string) // as every key of an object
		shard, ok := value.(string)
		if !isString || !ok {
			return nil, &Error{Tensor: name, Field: "weight_map", Want: "a file name", Got: fmt.Sprint(value)}
		}
		if _, ok := where[name]; ok {
			return nil, &Error{Tensor: name, Field: "weight_map", Want: "the name once", Got: "it twice"}
		}
		if where[name] = shard; len(where) > maxTensors {
			return nil, bad(fmt.Sprintf("at most %d tensors", maxTensors), "more")
		}
	}
	if len(where) == 0 {
		return nil, bad("at least one tensor", "none")
	}
	return where, nil
}

// shardSet is a model while its files are mapped.
type shardSet struct {
	all    contents
	format string
	size   int
	maps   []*mapping
	from   map[string]string // tensor to file
}

// openShards maps the named files of dir and opens them as one model under path, which errors of the whole name. where
// is what an index says about them, nil without one.
func openShards(path, dir string, shards []string, where map[string]string) (_ *File, err error) {
	set := shardSet{from: map[string]string{}}
	defer func() {
		if err != nil {
			_ = closeMappings(set.maps) // the first error is the one to report
		}
	}()
	for _, shard := range shards {
		if err := set.add(filepath.Join(dir, shard), shard); err != nil {
			if where != nil && errors.Is(err, fs.ErrNotExist) {
				return nil, &Error{File: path, Field: "weight_map", Want: "the file " + clip(shard) + " beside the index", Got: "none"}
			}
			return nil, inFile(filepath.Join(dir, shard), err)
		}
	}
	if err := set.compare(where); err != nil {
		return nil, inFile(path, err)
	}
	config := filepath.Join(dir, configName)
	if err := set.configure(config); err != nil {
		return nil, inFile(config, err)
	}
	f, err := newFile(path, set.format, set.all, set.size)
	if err != nil {
		return nil, err
	}
	f.hold.maps = set.maps
	return f, nil
}

// add maps a file and takes its tensors; annotations are the first file's, which writers repeat in all.
func (s *shardSet) add(path, shard string) error {
	m, err := mapFile(path)
	if err != nil {
		return err
	}
	s.maps = append(s.maps, m)
	var format string
	var c contents
	err = m.use(func(data []byte) (err error) {
		format, c, err = read(data)
		return err
	})
	if err != nil {
		return err
	}
	if s.format != "" && s.format != format {
		return &Error{Field: "format", Want: s.format + " as the files before it", Got: format}
	}
	s.format = format
	s.size += len(m.data)
	for _, name := range c.names() {
		if first, ok := s.from[name]; ok {
			return &Error{Tensor: name, Field: "name", Want: "the tensor in one file", Got: "it in " + clip(first) + " too"}
		}
		s.from[name] = shard
	}
	if len(s.maps) == 1 {
		s.all = c
		return nil
	}
	s.all.tensors, s.all.unread = append(s.all.tensors, c.tensors...), append(s.all.unread, c.unread...)
	if len(s.from) > maxTensors {
		return &Error{Field: "tensors", Want: fmt.Sprintf("at most %d in all files", maxTensors), Got: "more"}
	}
	return nil
}

// compare wants the tensors to lie where an index says.
func (s *shardSet) compare(where map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(where)) {
		if got, ok := s.from[name]; !ok || got != where[name] {
			if !ok {
				got = "no such tensor"
			}
			return &Error{Tensor: name, Field: "weight_map", Want: "it in " + clip(where[name]), Got: clip(got)}
		}
	}
	for _, name := range s.all.names() {
		if _, ok := where[name]; where != nil && !ok {
			return &Error{Tensor: name, Field: "weight_map", Want: "an entry for it, since " + clip(s.from[name]) + " has it", Got: "none"}
		}
	}
	return nil
}

// configure adds the strings, numbers and truth values of a config.json, if there is one, to the annotations.
func (s *shardSet) configure(path string) error {
	data, err := files.ReadRegular(path, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var config map[string]any
	if err := d.Decode(&config); err != nil || config == nil {
		return &Error{Field: "config", Want: "a JSON object", Got: fmt.Sprint(err)}
	}
	meta := map[string]string{}
	maps.Copy(meta, s.all.meta)
	s.all.meta, s.all.config = meta, path
	for k, v := range config {
		switch v := v.(type) {
		case string, json.Number, bool:
			meta["config."+k] = fmt.Sprint(v)
		}
	}
	return nil
}
