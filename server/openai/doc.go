// Package openai speaks OpenAI's protocol: completions, chat completions, responses, embeddings and models. Its
// handlers translate between the protocol's JSON and the requests of a model; what runs them they do not know.
package openai
