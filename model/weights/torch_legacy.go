package weights

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// torchMagic is the number in the first pickle of a legacy file, 0x1950a86a20f9469cfc6c.
var torchMagic = []byte{0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19}

const torchProtocol = 1001

// legacy is the state of reading a file of torch.save before 1.6: five pickles (magic, protocol, the writer's type
// sizes, the value, the keys of the storages) and the storages in the order of the keys, each behind its number of
// elements in 8 bytes.
type legacy struct {
	data     []byte
	at       int
	storages map[string]legacyStorage // nil before they are read
}

type legacyStorage struct {
	raw  []byte
	kind *storageKind
}

func readTorchLegacy(data []byte) (contents, error) {
	l := &legacy{data: data}
	if err := l.preamble(); err != nil {
		return contents{}, err
	}
	value, named, err := l.next()
	if err != nil {
		return contents{}, err
	}
	return torchContents(value, func(s *torchStorage) ([]byte, error) {
		if l.storages == nil { // not before a tensor needs them: what is wrong with the tensors is the better error
			if err := l.readStorages(named); err != nil {
				return nil, err
			}
		}
		return l.storage(s)
	}, len(data))
}

// next reads one pickle and returns its value and the storages it names.
func (l *legacy) next() (any, []*torchStorage, error) {
	u, err := unpickle(l.data[l.at:])
	if err != nil {
		return nil, nil, err
	}
	l.at += u.at
	return u.stack[0], u.storages, nil
}

func (l *legacy) preamble() error {
	magic, _, err := l.next()
	if err != nil {
		return err
	}
	if n, ok := magic.(bigint); !ok || !bytes.Equal(n, torchMagic) {
		return &Error{Field: "format", Want: "the magic number of torch.save in the first pickle", Got: describe(magic)}
	}
	protocol, _, err := l.next()
	if err != nil {
		return err
	}
	if n, ok := protocol.(int64); !ok {
		return &Error{Field: "protocol", Want: fmt.Sprint(torchProtocol), Got: describe(protocol)}
	} else if n != torchProtocol {
		return &Error{Field: "protocol", Want: fmt.Sprint(torchProtocol), Got: fmt.Sprint(n)}
	}
	system, _, err := l.next()
	if err != nil {
		return err
	}
	if _, ok := system.(*dict); !ok {
		return &Error{Field: "system", Want: "a dict of type sizes", Got: describe(system)}
	}
	return nil
}

// readStorages finds the bytes of every storage. The file does not say how wide their elements are. The tensors that
// name a storage say it, and must agree.
func (l *legacy) readStorages(named []*torchStorage) error {
	l.storages = map[string]legacyStorage{}
	kinds := make(map[string]*storageKind, len(named))
	for _, s := range named {
		if k := kinds[string(s.key)]; k != nil && k.size != s.kind.size {
			return &Error{Field: "storage " + string(s.key), Want: "one kind", Got: fmt.Sprintf("%s and %s", k.name, s.kind.name)}
		}
		kinds[string(s.key)] = s.kind
	}
	value, _, err := l.next()
	if err != nil {
		return err
	}
	keys, ok := value.(*list)
	if !ok {
		return &Error{Field: "storage keys", Want: "a list", Got: describe(value)}
	}
	for _, v := range keys.items {
		key, ok := v.(str)
		kind := kinds[string(key)]
		switch {
		case !ok || kind == nil:
			return &Error{Field: "storage keys", Want: "keys of storages that the pickle names", Got: describe(v) + fmt.Sprintf(" %q", clip(string(key[:min(len(key), maxName)])))}
		case l.storages[string(key)].kind != nil:
			return &Error{Field: "storage keys", Want: "every key once", Got: string(key) + " twice"}
		}
		raw, err := l.read(key, kind.size)
		if err != nil {
			return err
		}
		l.storages[string(key)] = legacyStorage{raw, kind}
	}
	if rest := len(l.data) - l.at; rest != 0 {
		return &Error{Field: "size", Want: fmt.Sprintf("%d bytes, where the last storage ends", l.at), Got: fmt.Sprint(len(l.data))}
	}
	return nil
}

// read returns the next storage.
func (l *legacy) read(key str, size int64) ([]byte, error) {
	rest := l.data[l.at:]
	if len(rest) < 8 {
		return nil, &Error{Field: "storage " + string(key), Want: "8 bytes of length", Got: fmt.Sprintf("%d (truncated file?)", len(rest))}
	}
	n, room := binary.LittleEndian.Uint64(rest), uint64(len(rest)-8)
	if n > room/uint64(size) {
		return nil, &Error{Field: "storage " + string(key), Want: fmt.Sprintf("%d elements of %d bytes", n, size), Got: fmt.Sprintf("%d bytes (truncated file?)", room)}
	}
	end := 8 + int(n)*int(size)
	l.at += end
	return rest[8:end:end], nil
}

func (l *legacy) storage(s *torchStorage) ([]byte, error) {
	found := l.storages[string(s.key)]
	if found.kind == nil {
		return nil, &Error{Field: "storage " + string(s.key), Want: "its key among the storage keys", Got: "none"}
	}
	if size := int64(len(found.raw)); size/s.kind.size != s.all || size%s.kind.size != 0 {
		return nil, &Error{Field: "storage " + string(s.key), Want: fmt.Sprintf("%d elements", s.all), Got: fmt.Sprint(int64(len(found.raw)) / s.kind.size)}
	}
	return found.raw, nil
}
