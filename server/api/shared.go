package api

import (
	"context"
	"errors"
)

// ErrForgotten is the error of Shared.Kept for what was deleted.
var ErrForgotten = errors.New("it was deleted")

// Shared is where servers that work together keep what clients come back to by an id. Its methods may be called by any
// goroutine, and take no longer than a client waits for.
type Shared interface {
	// Keep keeps something of a user under an id that nothing else has.
	Keep(ctx context.Context, user, id string, data []byte) error
	// Kept returns what a user's id stands for; nil for nothing. The error is ErrForgotten, or why it is not known.
	Kept(ctx context.Context, user, id string) ([]byte, error)
	// Forget has all servers forget what a user's id stands for.
	Forget(ctx context.Context, user, id string) error
}
