package server_test

import (
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/server/openapi"
	"github.com/rwkv-gpu/rwkv-gpu/server/openapi/contract"
)

// descriptions are the descriptions of servers for models of some numbers of ids.
var descriptions struct {
	sync.Mutex
	byVocab map[int]*contract.Contract
}

// description returns what every answer of a server under test is compared with.
func description(t *testing.T, vocab int) *contract.Contract {
	t.Helper()
	descriptions.Lock()
	defer descriptions.Unlock()
	if c := descriptions.byVocab[vocab]; c != nil {
		return c
	}
	c := newDescription(t, vocab)
	if descriptions.byVocab == nil {
		descriptions.byVocab = map[int]*contract.Contract{}
	}
	descriptions.byVocab[vocab] = c
	return c
}

func newDescription(t *testing.T, vocab int) *contract.Contract {
	t.Helper()
	document, err := openapi.Document(openapi.Options{Keys: true, Vocab: vocab})
	if err != nil {
		t.Fatal(err)
	}
	c, err := contract.New(document)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
