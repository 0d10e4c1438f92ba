package replicas

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/rwkv-gpu/rwkv-gpu/cluster/store"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

var _ api.Shared = (*Model)(nil)

// What a value of the store is, by its first byte.
const (
	valueHere    = 'v' // data
	valueObject  = 'o' // data is under the key among the states
	valueDeleted = 'x'

	mostHere = 1 << 18 // bytes of data in a record
)

// errAlone is the error of what needs a store that is not reached.
var errAlone = errors.New("the servers that keep it are not reached")

// sharedKey returns the key of a user's id.
func sharedKey(user, id string) string {
	sum := sha256.Sum256([]byte(user + "\x00" + id))
	return "r" + hex.EncodeToString(sum[:16])
}

// Keep keeps something of a user for all replicas.
func (m *Model) Keep(ctx context.Context, user, id string, data []byte) (err error) {
	defer func() {
		if err != nil {
			m.unkept.Add(1)
			m.complain("cluster: a response is kept in this replica alone", err)
		}
	}()
	if !m.node.Connected() {
		return errAlone
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), putTime)
	defer cancel()
	key, value := sharedKey(user, id), append([]byte{valueHere}, data...)
	if len(data) > mostHere {
		if err := m.store.PutState(ctx, key, data); err != nil {
			return err
		}
		value = []byte{valueObject}
	}
	_, err = m.store.Put(ctx, key, value, 0)
	return err
}

// Kept returns what all replicas keep of a user under an id.
func (m *Model) Kept(ctx context.Context, user, id string) ([]byte, error) {
	if m.mute() {
		return nil, errAlone
	}
	ctx, cancel := context.WithTimeout(ctx, stateTime)
	defer cancel()
	key := sharedKey(user, id)
	value, _, err := m.store.Get(ctx, key)
	switch {
	case errors.Is(err, store.ErrNone):
		return nil, nil
	case err != nil:
		return nil, err
	case len(value) == 0 || value[0] == valueDeleted:
		return nil, api.ErrForgotten
	case value[0] == valueObject:
		return m.store.State(ctx, key)
	}
	return value[1:], nil
}

// Forget has all replicas forget what they keep of a user under an id.
func (m *Model) Forget(ctx context.Context, user, id string) error {
	if !m.node.Connected() {
		return errAlone
	}
	ctx, cancel := context.WithTimeout(ctx, stateTime)
	defer cancel()
	key := sharedKey(user, id)
	for {
		_, version, err := m.store.Get(ctx, key)
		if err != nil && !errors.Is(err, store.ErrNone) {
			return err
		}
		if _, err = m.store.Put(ctx, key, []byte{valueDeleted}, version); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
}
