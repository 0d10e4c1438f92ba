package prompt

import (
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// The embedded model, known by its own annotation, is written as G1 with settings of its own.
func TestChooseEmbedded(t *testing.T) {
	f, err := weights.Parse(demo.Name, demo.Weights())
	if err != nil {
		t.Fatal(err)
	}
	d := Choose(Model{Name: f.Path, Version: "v7", Vocab: 4096, Meta: f.Meta}).Dialect
	if _, err := PresetByName("preset", d.Preset); d.Name != G1 || d.Preset != "story" || err != nil {
		t.Errorf("got the dialect %s with the preset %s (%v), want %s with story", d.Name, d.Preset, err, G1)
	}
	if g1 := Choose(Model{Name: "rwkv7-g1.pth", Version: "v7"}).Dialect; g1.Preset != "chat" {
		t.Errorf("models of G1 have the preset %s, want chat", g1.Preset)
	}
}

// The names are those of published files.
func TestChoose(t *testing.T) {
	for _, c := range []struct {
		m    Model
		want string
		date int
	}{
		{Model{Name: "rwkv7-g1h-7.2b-20260710-ctx10240.pth", Version: "v7"}, G1, 20260710},
		{Model{Name: "/models/rwkv7-g1-0.1b-20250307-ctx4096.pth", Version: "v7"}, G1, 20250307},
		{Model{Name: "rwkv7-g1a2-1.5b-251005.gguf", Version: "v7"}, G1, 20251005},
		{Model{Name: "rwkv7-g0a3-13.3b-20251103-ctx4096.st", Version: "v7"}, G1, 20251103},
		{Model{Name: "RWKV-x070-World-2.9B-v3-20250211-ctx4096.pth", Version: "v7"}, G1, 20250211},
		{Model{Name: "RWKV-x060-World-1B6-v2.1-20240328-ctx4096.pth", Version: "v6"}, World, 20240328},
		{Model{Name: "RWKV-5-World-0.4B-v2-20231113-ctx4096.pth", Version: "v5.2"}, World, 20231113},
		{Model{Name: "RWKV-4-World-CHNtuned-7B-v1-20230709-ctx4096.pth", Version: "v4"}, World, 20230709},
		{Model{Name: "RWKV-4-Raven-7B-v12-Eng98%-Other2%-20230521-ctx8192.pth", Version: "v4", Vocab: 50277}, Raven, 20230521},
		{Model{Name: "RWKV-4-Pile-169M-20220807-8023.pth", Version: "v4", Vocab: 50277}, Raven, 20220807},
		{Model{Name: "fla-hub/rwkv7-2.9B-g1/model.safetensors", Version: "v7"}, G1, 0},
		{Model{Name: "rwkv7-2.9B-world/model-00001-of-00002.safetensors", Version: "v7"}, G1, 0},
		{Model{Name: "x.gguf", Version: "v6", Meta: map[string]string{"general.name": "RWKV-x060-World-7B-20240816"}}, World, 20240816},
		{Model{Name: "x.gguf", Version: "v7", Meta: map[string]string{"tokenizer.chat_template": "rwkv-world"}}, G1, 0},
		{Model{Name: "x.gguf", Version: "v7", Meta: map[string]string{"tokenizer.chat_template": "{% for m in messages %}User✿{{m.content}}✿\nBot✿"}}, Bot, 0},
		{Model{Name: "rwkv7-g1.gguf", Version: "v7", Meta: map[string]string{"tokenizer.chat_template": "### User\n{{ m }}\n### Assistant\n"}}, G1Markdown, 0},
		{Model{Name: "demo", Version: "v7", Vocab: 4096}, G1, 0},
		{Model{Name: "a.pth", Version: "v7a"}, G1, 0},
		{Model{Name: "a.pth", Version: "v8-rc00"}, G1, 0},
		{Model{Name: "a.pth", Version: "v5.1"}, World, 0},
		{Model{Name: "a-99999999-20251399.pth", Version: "v5.1"}, World, 0},
		{Model{}, G1, 0},
	} {
		if got := Choose(c.m); got.Dialect.Name != c.want || got.Date != c.date || got.Why == "" {
			t.Errorf("%+v: got %s of %d by %s, want %s of %d", c.m, got.Dialect.Name, got.Date, got.Why, c.want, c.date)
		}
	}
}
