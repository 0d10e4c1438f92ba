package weights

import (
	"bytes"
	"fmt"
	"strings"
)

// readTorchZip reads the files of torch.save since 1.6: a zip file with one directory. The directory has data.pkl, a
// pickle whose storages are the entries data/KEY, stored without compression. A few other entries say nothing about the
// numbers.
func readTorchZip(data []byte) (contents, error) {
	z, err := readZip(data)
	if err != nil {
		return contents{}, err
	}
	root, err := z.torchRoot()
	if err != nil {
		return contents{}, err
	}
	if e := z.entries[root+"byteorder"]; e != nil {
		order, err := z.read(e)
		if err != nil {
			return contents{}, err
		}
		if got := string(bytes.TrimSpace(order)); got != "little" {
			return contents{}, &Error{Field: "zip entry " + string(e.name), Want: "little", Got: fmt.Sprintf("%q", clip(got))}
		}
	}
	pickle, err := z.read(z.entries[root+"data.pkl"])
	if err != nil {
		return contents{}, err
	}
	u, err := unpickle(pickle)
	if err != nil {
		return contents{}, err
	}
	if u.at != len(pickle) {
		return contents{}, &Error{Field: "pickle", Want: fmt.Sprintf("%d bytes in data.pkl", u.at), Got: fmt.Sprint(len(pickle))}
	}
	known := map[string][]byte{}
	c, err := torchContents(u.stack[0], func(s *torchStorage) ([]byte, error) { return z.storage(root, known, s) }, len(data))
	if err != nil {
		return contents{}, err
	}
	return c, z.checkUsed()
}

// torchRoot returns the name of the directory that holds data.pkl, with its slash.
func (z *zipFile) torchRoot() (string, error) {
	root := ""
	for _, e := range z.order {
		dir, ok := strings.CutSuffix(string(e.name), "/data.pkl")
		if !ok || strings.Contains(dir, "/") {
			continue
		}
		if root != "" {
			return "", &Error{Field: "zip directory", Want: "one entry */data.pkl", Got: clip(root) + "data.pkl and " + clip(string(e.name))}
		}
		root = dir + "/"
	}
	if root == "" {
		got := "an empty one"
		if len(z.order) > 0 {
			got = fmt.Sprintf("%d others, the first %s", len(z.order), clip(string(z.order[0].name)))
		}
		return "", &Error{Field: "zip directory", Want: "an entry */data.pkl, as torch.save writes it", Got: got}
	}
	return root, nil
}

// storage returns the bytes of s; known holds those that were asked for before.
func (z *zipFile) storage(root string, known map[string][]byte, s *torchStorage) ([]byte, error) {
	name := root + "data/" + string(s.key)
	raw, ok := known[name]
	if !ok {
		e := z.entries[name]
		if e == nil {
			return nil, &Error{Field: "storage", Want: "an entry " + clip(name), Got: "none"}
		}
		var err error
		if raw, err = z.read(e); err != nil {
			return nil, err
		}
		known[name] = raw
	}
	if int64(len(raw))/s.kind.size != s.all || int64(len(raw))%s.kind.size != 0 {
		return nil, &Error{Field: "storage " + string(s.key), Want: fmt.Sprintf("%d elements of %d bytes", s.all, s.kind.size), Got: fmt.Sprintf("%d bytes", len(raw))}
	}
	return raw, nil
}
