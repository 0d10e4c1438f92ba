package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/rwkv-gpu/rwkv-gpu/server/sse"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// StatusGone is the status of calls whose client left before the answer, in logs: nobody reads it.
const StatusGone = 499

// Fault returns the error of HTTP for an error of Model or Stream.
func Fault(err error) *wire.Error {
	var own *wire.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.Is(err, ErrBusy):
		return &wire.Error{Status: http.StatusTooManyRequests, Message: "too many requests wait already: try again later", Code: "queue_full"}
	case errors.Is(err, ErrClosing):
		return &wire.Error{Status: http.StatusServiceUnavailable, Message: "the server is about to end: try again later", Code: "draining"}
	case errors.Is(err, ErrDevice):
		return &wire.Error{Status: http.StatusServiceUnavailable, Message: "the device that runs the model does not work: try again later", Code: "device_lost", Cause: err}
	case errors.Is(err, ErrSlow):
		return &wire.Error{Status: http.StatusRequestTimeout, Message: "the answer was not read as fast as it came", Code: "slow_reader"}
	case errors.Is(err, context.DeadlineExceeded):
		return &wire.Error{Status: http.StatusGatewayTimeout, Message: "the request took longer than this server allows", Code: "timeout"}
	case errors.Is(err, context.Canceled), errors.Is(err, sse.ErrReader):
		return &wire.Error{Status: StatusGone, Message: "the client has left", Code: "canceled"}
	}
	return &wire.Error{Status: http.StatusInternalServerError, Message: "the server failed; its log says more", Code: "internal", Cause: err}
}
