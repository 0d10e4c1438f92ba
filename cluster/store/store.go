// Package store keeps what replicas know together: records that change, each by its key, and states that do not.
package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Options say how much is kept, and how safely.
type Options struct {
	Name     string        // of the buckets: letters, digits, _ and -
	Replicas int           // servers that have a copy; 0 is three, or one where there is one server
	Bytes    int64         // of states; 0 is DefaultBytes
	Records  int64         // bytes of records; 0 is DefaultRecords
	Age      time.Duration // after which what was not written again is dropped; 0 is DefaultAge
}

// What Options means by 0.
const (
	DefaultBytes   = 8 << 30
	DefaultRecords = 1 << 30
	DefaultAge     = 7 * 24 * time.Hour
)

// Errors, to be tested with errors.Is.
var (
	ErrNone     = errors.New("store: there is none")
	ErrConflict = errors.New("store: somebody else has changed it")
	ErrFull     = errors.New("store: it is full")
)

// Store is what the replicas of a group keep. Its methods may be called by any goroutine. They wait until ctx is done
// for servers that are not reached.
type Store struct {
	js jetstream.JetStream
	o  Options

	mu      sync.Mutex
	records jetstream.KeyValue
	states  jetstream.ObjectStore
}

// New returns a store on a connection, which need not be there yet: buckets are made when they are needed first.
func New(nc *nats.Conn, o Options) (*Store, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if o.Bytes == 0 {
		o.Bytes = DefaultBytes
	}
	if o.Records == 0 {
		o.Records = DefaultRecords
	}
	if o.Age == 0 {
		o.Age = DefaultAge
	}
	return &Store{js: js, o: o}, nil
}

// Open makes the buckets, or finds those that are there. The others of its methods call it.
func (s *Store) Open(ctx context.Context) error {
	_, err := s.kv(ctx)
	if err == nil {
		_, err = s.objects(ctx)
	}
	return err
}

// Get returns the record of a key with its version. The error is ErrNone, or what keeps it from being read.
func (s *Store) Get(ctx context.Context, key string) (value []byte, version uint64, err error) {
	kv, err := s.kv(ctx)
	if err != nil {
		return nil, 0, err
	}
	e, err := kv.Get(ctx, key)
	if err != nil {
		return nil, 0, plain(err)
	}
	return e.Value(), e.Revision(), nil
}

// Put makes a record of a version the one of its key, if nobody else has done so meanwhile: version is what Get told, 0
// where there was none. The error is ErrConflict, ErrFull, or what keeps it from being written: then it is not known
// whether it was.
func (s *Store) Put(ctx context.Context, key string, value []byte, version uint64) (uint64, error) {
	kv, err := s.kv(ctx)
	if err != nil {
		return 0, err
	}
	if version == 0 {
		version, err = kv.Create(ctx, key, value)
	} else {
		version, err = kv.Update(ctx, key, value, version)
	}
	return version, plain(err)
}

// PutState keeps a state under a name that stands for what it is, such as a digest: whoever keeps another one of the
// name keeps the same. The error is ErrFull, or what keeps it from being written.
func (s *Store) PutState(ctx context.Context, name string, state []byte) error {
	list, err := s.objects(ctx)
	if err != nil {
		return err
	}
	if info, err := list.GetInfo(ctx, name); err == nil && s.whole(ctx, info) {
		return nil
	}
	if _, err = list.PutBytes(ctx, name, state); err != nil {
		// The client writes the object's head also where a part of it was refused: whoever reads such an object waits.
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		if undone := list.Delete(undo, name); undone != nil && !errors.Is(undone, jetstream.ErrObjectNotFound) {
			err = errors.Join(err, undone)
		}
	}
	return plain(err)
}

// whole reports whether all chunks of an object are there. Its head may have been written without some of them, where a
// try to put it has failed.
func (s *Store) whole(ctx context.Context, info *jetstream.ObjectInfo) bool {
	chunks := fmt.Sprintf("$O.%s.C.%s", info.Bucket, info.NUID)
	stream, err := s.js.Stream(ctx, "OBJ_"+info.Bucket)
	if err != nil {
		return false
	}
	i, err := stream.Info(ctx, jetstream.WithSubjectFilter(chunks))
	return err == nil && i.State.Subjects[chunks] == uint64(info.Chunks)
}

// undoTime bounds how long a state that was not kept whole is taken away.
const undoTime = 2 * time.Second

// State returns a state. The error is ErrNone, or what keeps it from being read whole.
func (s *Store) State(ctx context.Context, name string) ([]byte, error) {
	list, err := s.objects(ctx)
	if err != nil {
		return nil, err
	}
	b, err := list.GetBytes(ctx, name)
	return b, plain(err)
}

// plain returns an error as this package has it.
func plain(err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrKeyDeleted), errors.Is(err, jetstream.ErrObjectNotFound),
		errors.Is(err, jetstream.ErrDigestMismatch): // a state that was not kept whole is none
		return ErrNone
	case errors.Is(err, jetstream.ErrKeyExists):
		return ErrConflict
	case errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == wrongSequence):
		return ErrConflict
	case errors.As(err, &api) && (api.ErrorCode == storeFailed || api.ErrorCode == noStorage || api.ErrorCode == noMemory):
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return fmt.Errorf("store: %w", err)
}

// Codes of errors that the client has no names for (nats-server, server/errors.json).
const (
	wrongSequence jetstream.ErrorCode = 10164 // JSStreamWrongLastSequenceConstantErr
	storeFailed   jetstream.ErrorCode = 10077 // JSStreamStoreFailedF: of a stream with a bound, that bound
	noStorage     jetstream.ErrorCode = 10047 // JSStorageResourcesExceededErr
	noMemory      jetstream.ErrorCode = 10028 // JSMemoryResourcesExceededErr
	noReplicas    jetstream.ErrorCode = 10074 // JSStreamReplicasNotSupportedErr
)

// kv returns the bucket of records.
func (s *Store) kv(ctx context.Context) (jetstream.KeyValue, error) {
	s.mu.Lock()
	kv := s.records
	s.mu.Unlock()
	if kv != nil {
		return kv, nil
	}
	name := s.o.Name + "_records"
	kv, err := s.js.KeyValue(ctx, name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		err = s.replicated(func(n int) error {
			var err error
			kv, err = s.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: name, TTL: s.o.Age, MaxBytes: s.o.Records, Replicas: n})
			if errors.Is(err, jetstream.ErrBucketExists) {
				kv, err = s.js.KeyValue(ctx, name)
			}
			return err
		})
	}
	if err != nil {
		return nil, plain(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = kv
	return kv, nil
}

// objects returns the bucket of states.
func (s *Store) objects(ctx context.Context) (jetstream.ObjectStore, error) {
	s.mu.Lock()
	list := s.states
	s.mu.Unlock()
	if list != nil {
		return list, nil
	}
	name := s.o.Name + "_states"
	list, err := s.js.ObjectStore(ctx, name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		err = s.replicated(func(n int) error {
			var err error
			list, err = s.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: name, TTL: s.o.Age, MaxBytes: s.o.Bytes, Replicas: n})
			if errors.Is(err, jetstream.ErrBucketExists) {
				list, err = s.js.ObjectStore(ctx, name)
			}
			return err
		})
	}
	if err != nil {
		return nil, plain(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states = list
	return list, nil
}

// replicated makes a bucket with as many copies as are wanted. A server by itself has one.
func (s *Store) replicated(make func(n int) error) error {
	if s.o.Replicas > 0 {
		return make(s.o.Replicas)
	}
	err := make(3)
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == noReplicas {
		return make(1)
	}
	return err
}
