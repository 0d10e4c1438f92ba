//go:build view

package view

import (
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/view/player"
	"github.com/rwkv-gpu/rwkv-gpu/view/scene"
)

// origins are those of a scene, by the player's.
var origins = map[player.Origin]scene.Origin{player.Prompt: scene.Given, player.Drawn: scene.Written, player.Typed: scene.Typed}

// storyOf returns what a scene shows of a player.
func storyOf(now *player.Now, keys []float32, keysOf int) *scene.Story {
	st := &scene.Story{Spans: make([]scene.Span, len(now.Tokens)), Read: now.Fed, Playing: now.Playing, Ended: now.Ended, Rate: now.Rate,
		Kept: now.Kept, At: now.At, Note: now.Note, Keys: keys, KeysOf: keysOf}
	for i, t := range now.Tokens {
		st.Spans[i] = scene.Span{Text: t.Text, From: origins[t.From]}
	}
	return st
}

// titleOf names a model: by what its file says, and by its version and sizes.
func titleOf(m *model.Model) string { return m.String() }
