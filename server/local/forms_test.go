package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/completion"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/grammars"
	"github.com/rwkv-gpu/rwkv-gpu/server/keys"
	"github.com/rwkv-gpu/rwkv-gpu/server/local"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// serveDemo serves the demo model on the CPU, with its tokenizer or one around that.
func serveDemo(t *testing.T, around ...func(tokenizer.Tokenizer) tokenizer.Tokenizer) *httptest.Server {
	t.Helper()
	m, err := load.Open(load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := m.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	d, err := device.Open("cpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(m.Model, d, engine.Options{Slots: 8})
	if err != nil {
		t.Fatal(err)
	}
	forms, err := grammars.New(tok, m.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range around {
		tok = f(tok)
	}
	model, err := local.New(e, tok, local.Options{Names: []string{"demo"}, ID: "x", Completion: completion.Options{Cache: statecache.Options{Host: 64 << 20}}})
	if err != nil {
		t.Fatal(err)
	}
	model.Own(e.Close, d.Close, m.Close)
	dialect, err := prompt.ByName("template", prompt.G1)
	if err != nil {
		t.Fatal(err)
	}
	protocol := openai.New(model, chat.Options{Dialect: dialect, Most: 4096, Forms: forms})
	s, err := server.New(server.Options{Routes: protocol.Routes(), Fail: openai.Fail, Health: model.Health, Keys: new(keys.Ring), MaxBody: 1 << 20,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Metrics: server.NewMetrics()})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	t.Cleanup(func() {
		web.Close()
		if err := model.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return web
}

// schemas of bounded texts: strings and arrays that may go on for ever do so with a model that knows stories only.
func schemas() (list []string) {
	types := []string{`{"type":"integer","minimum":-50,"maximum":999}`, `{"type":"boolean"}`, `{"type":"string","maxLength":12}`, `{"enum":["red","green",null,7]}`,
		`{"type":"string","pattern":"^[a-z]{2,8}$"}`, `{"type":"string","format":"date"}`, `{"type":"number","multipleOf":0.25,"minimum":0,"maximum":10}`,
		`{"type":"array","items":{"type":"integer","minimum":0,"maximum":9},"minItems":1,"maxItems":3}`, `{"anyOf":[{"type":"null"},{"const":"x y"}]}`,
		`{"type":"string","format":"ipv4"}`}
	for i, a := range types {
		list = append(list, a)
		b, c := types[(i+3)%len(types)], types[(i+7)%len(types)]
		list = append(list,
			fmt.Sprintf(`{"type":"object","properties":{"a":%s,"b":%s},"required":["a"],"additionalProperties":false}`, a, b),
			fmt.Sprintf(`{"type":"array","prefixItems":[%s,%s],"items":false,"minItems":2}`, a, c),
			fmt.Sprintf(`{"oneOf":[{"type":"object","properties":{"k":{"const":1},"v":%s},"required":["k","v"],"additionalProperties":false},{"type":"object","properties":{"k":{"const":2},"w":%s},"required":["k","w"],"additionalProperties":false}]}`, a, b),
			fmt.Sprintf(`{"type":"object","properties":{"next":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/leaf"}]},"v":%s},"required":["next","v"],"additionalProperties":false,"$defs":{"leaf":{"type":"object","properties":{"v":%s},"required":["v"],"additionalProperties":false}}}`, a, c))
	}
	return list
}

// Whatever the demo model would rather say, its answers parse and match the schema that a request asks for.
func TestSchemas(t *testing.T) {
	each := 1
	if n, err := strconv.Atoi(os.Getenv("RWKV_FORMS")); err == nil {
		each = n
	}
	web := serveDemo(t)
	var wait sync.WaitGroup
	lot := make(chan struct{}, 16)
	began, all := time.Now(), schemas()
	for i, schema := range all {
		parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
		if err != nil {
			t.Fatal(err)
		}
		compiler := jsonschema.NewCompiler()
		compiler.AssertFormat()
		if err := compiler.AddResource("schema.json", parsed); err != nil {
			t.Fatal(err)
		}
		valid := compiler.MustCompile("schema.json")
		for k := range each {
			wait.Add(1)
			lot <- struct{}{}
			go func() {
				defer func() { <-lot; wait.Done() }()
				body := fmt.Sprintf(`{"messages":[{"role":"user","content":"Tell me %d"}],"seed":%d,"temperature":1.5,"top_p":1,"max_tokens":400,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":%s}}}`, k%5, i*1000+k, schema)
				text, err := content(web.URL, body)
				if err != nil {
					t.Errorf("%s: %v", schema, err)
					return
				}
				value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
				if err == nil {
					err = valid.Validate(value)
				}
				if err != nil {
					t.Errorf("%s: %q: %v", schema, text, err)
				}
			}()
		}
	}
	wait.Wait()
	t.Logf("%d answers under %d schemas in %v", each*len(all), len(all), time.Since(began))
}

// content returns the text of a chat's answer, which has to end by itself.
func content(url, body string) (string, error) {
	r, err := http.Post(url+"/v1/chat/completions", "", bytes.NewReader([]byte(body)))
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	var got openai.Chat
	if err == nil {
		err = json.Unmarshal(data, &got)
	}
	if err != nil || len(got.Choices) != 1 || got.Choices[0].Finish == nil || *got.Choices[0].Finish != "stop" {
		return "", fmt.Errorf("%s (%w)", data, err)
	}
	return *got.Choices[0].Message.Content, nil
}
