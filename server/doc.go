// Package server serves a model over HTTP: it finds the route of a request, lets in who has a key, keeps limits, tells logs
// and metrics of what was done, and comes to an end in order. What a route answers is the business of the protocols, in
// packages of their own. No log and no metric holds any text of a request or an answer.
package server
