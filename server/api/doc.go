// Package api is what the protocols of a server share: what they ask a model for and what it answers, and how an HTTP
// request reaches the one who handles it. The model is an interface, so that a scripted one can stand behind the real
// handlers.
package api
