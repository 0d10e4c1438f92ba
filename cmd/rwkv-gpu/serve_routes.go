package main

import (
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/server/anthropic"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/server/openapi"
	"github.com/rwkv-gpu/rwkv-gpu/server/web"
)

// routesOf returns all that is served of a model, by a server that asks for keys or does not. more are those of files and
// batches, and talk those of OpenAI's protocol, by which batches are answered too.
func routesOf(m api.Model, p chat.Options, keys bool, talk, more []api.Route) ([]api.Route, error) {
	page, err := web.Routes(openai.Fail)
	if err != nil {
		return nil, err
	}
	description, err := openapi.Routes(openapi.Options{Keys: keys, Vocab: m.Info().Vocab}, openai.Fail)
	if err != nil {
		return nil, err
	}
	return slices.Concat(page, talk, more, anthropic.New(m, p).Routes(), description), nil
}
