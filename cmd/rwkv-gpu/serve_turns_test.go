package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// A turn costs its new tokens, by what the answer tells (cached_tokens) and by what the model was fed (the metrics): in
// one process, after servers that end in order, and after servers that are killed, which leave files alone.
func TestServeTurns(t *testing.T) {
	ends := map[string]os.Signal{"one process": nil, "restarted": syscall.SIGTERM, "killed": syscall.SIGKILL}
	for _, m := range []struct {
		name string
		ends []string
		args func(t *testing.T) []string
	}{
		{"demo", []string{"one process", "killed"}, func(*testing.T) []string { return nil }},
		{"world", []string{"one process", "restarted", "killed"}, worldModel},
	} {
		if testing.Short() && m.name == "demo" {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			args := append(m.args(t), "--device", "cpu", "--template", "g1", "--api-keys", turnKeys(t))
			for _, end := range m.ends {
				if testing.Short() && end != "restarted" { // which does what the others do
					continue
				}
				t.Run(end, func(t *testing.T) { turns(t, ends[end], args) })
			}
		})
	}
}

// worldModel returns flags for a small model with the published vocabulary, which has tokens of a sentence's and a line's
// end.
func worldModel(t *testing.T) []string {
	vocab := reference.Shared(t, "vocab", "rwkv_vocab_v20230424.txt")
	size := weightstest.Size{Vocab: 65536, Embed: 64, Layers: 2, Head: 64, FFN: 128, W: 8, A: 8, V: 8, G: 8}
	return []string{"--model", writeFile(t, "world.safetensors", weightstest.Safetensors(weightstest.RWKV7(size, tensor.F16, 1), nil)), "--vocab", vocab}
}

// turnKeys returns a file with a key for each case: what one case leaves in the cache is nothing to another.
func turnKeys(t *testing.T) string {
	var file strings.Builder
	for i := range turnCases {
		fmt.Fprintf(&file, "user%d key-%d\n", i, i)
	}
	return writeFile(t, "keys", []byte(file.String()))
}

// turns runs all cases step by step. Between the steps the server gets the signal and begins anew with its files.
func turns(t *testing.T, signal os.Signal, args []string) {
	dir := t.TempDir()
	args = append(slices.Clone(args), "--cache-disk", dir)
	s := startServing(t, args...)
	var steps [][]func()
	var talks []*talker
	for i, c := range turnCases {
		k := &talker{t: t, name: c.name, key: fmt.Sprintf("key-%d", i)}
		talks = append(talks, k)
		steps = append(steps, c.steps(k))
	}
	for at, left := 0, true; left; at++ {
		left = false
		if at > 0 && signal != nil {
			s.written(t, dir)
			if status := s.end(t, signal); signal == syscall.SIGTERM && status != statusDone {
				t.Fatalf("status %d: %s", status, s.log)
			}
			s = startServing(t, args...)
		}
		for i, k := range talks {
			if k.s = s; at < len(steps[i]) {
				steps[i][at]()
			}
			left = left || at+1 < len(steps[i])
		}
	}
	if status := s.end(t, syscall.SIGTERM); status != statusDone {
		t.Errorf("status %d: %s", status, s.log)
	}
}

// written waits until each state that the cache has is in a file.
func (s *serving) written(t *testing.T, dir string) {
	t.Helper()
	for from := time.Now(); ; time.Sleep(time.Millisecond) {
		files, err := filepath.Glob(filepath.Join(dir, "*.checkpoint"))
		if err != nil {
			t.Fatal(err)
		}
		states := int(s.metric(t, "rwkv_cache_states", "key-0"))
		if len(files) == states {
			return
		}
		if time.Since(from) > time.Minute {
			t.Fatalf("%d states, %d files: %q", states, len(files), files)
		}
	}
}

// turnCases are those of which other servers get the cost wrong, each in steps.
var turnCases = []struct {
	name  string
	steps func(k *talker) []func()
}{
	{"conversation", conversationTurns},
	{"edited message", editedTurns},
	{"regenerate", regenerateTurns},
	{"stripped thoughts", strippedTurns},
	{"stripped empty thoughts", fastTurns},
	{"time stamp", stampedTurns},
	{"Chinese", func(k *talker) []func() { return punctuatedTurns(k, "你好，你是谁？", "我很好。", "好。") }},
	{"Chinese comma", func(k *talker) []func() { return punctuatedTurns(k, "请继续，", "好，", "谢谢，") }},
	{"Japanese", func(k *talker) []func() {
		return punctuatedTurns(k, "今日は何曜日ですか。", "今日は日曜日です。", "ありがとう。")
	}},
	{"40 tokens", shortTurns},
	{"trimmed answers", trimmedTurns},
	{"completion again", completionTurns},
}

const ruled = "You are a helpful assistant and the answers you give are short."

// Each turn begins with all that was fed in the turn before it: the last token of an answer is drawn and not fed.
func conversationTurns(k *talker) []func() {
	said, before := []string{}, answerOf{}
	step := func() {
		said = append(said, fmt.Sprintf("And what is the time in place %d?", len(said)))
		r := k.ask(ruled, said, nil)
		if len(said) == 1 {
			k.want("first", r, k.count("System:", " "+ruled, "\n\n")+k.turn(said[0]))
		} else {
			k.goesOn("next", before, r)
		}
		said, before = append(said, r.text), r
	}
	return []func(){step, step, step, step}
}

// An edited message costs itself and what follows: what was fed up to the end of the answer before it is not read again.
func editedTurns(k *talker) []func() {
	const edited = "Something else, and more of it"
	var said []string
	var answers []answerOf
	edit := func(n int) func() {
		return func() {
			r := k.ask(ruled, append(slices.Clone(said[:2*n]), edited), nil)
			if n > 0 {
				k.goesOn(fmt.Sprintf("message %d", 2*n), answers[n-1], r)
			} else {
				k.want("message 0", r, k.turn(edited))
			}
		}
	}
	return []func(){func() {
		for _, text := range []string{"What is the time?", "And there?", "Thank you"} {
			r := k.ask(ruled, append(said, text), nil)
			said, answers = append(said, text, r.text), append(answers, r)
		}
	}, edit(2), edit(1), edit(0)}
}

// The same prompt again is read from the end of the user's words on: the state behind it gives no logits.
func regenerateTurns(k *talker) []func() {
	said := []string{"Hello!", "Hello there", "What is the time?"}
	again := func() { k.want("again", k.ask(ruled, said, map[string]any{"temperature": 1, "seed": 7}), k.reply()) }
	return []func(){func() { k.ask(ruled, said, nil) }, again, again}
}

// Where the thought is not in the history, the answer's own tokens are read, and none before them.
func strippedTurns(k *talker) []func() {
	think := map[string]any{"think": "free"}
	return []func(){
		func() {
			if r := k.ask(ruled, []string{"What is the time?"}, think); r.reasoning == "" || r.text != "" {
				k.t.Errorf("%s: want a thought without an end, got %q and %q", k.name, r.reasoning, r.text)
			}
		},
		func() {
			r := k.ask(ruled, []string{"What is the time?", "It is late.", "And there?"}, think)
			k.want("stripped", r, k.count(" It is late.", "\n\n", " <think")+k.turn("And there?"))
		},
		func() {
			r := k.ask(ruled, []string{"What is the time?", "It is late.", "And there?", "It is later.", "Thank you"}, think)
			k.want("stripped again", r, k.count(" It is later.", "\n\n", " <think")+k.turn("Thank you"))
		},
	}
}

// The same with an empty thought, which the prompt has and the history has not. A bias has the model end the thought.
func fastTurns(k *talker) []func() {
	const opening = " <think></think"
	fields := func() map[string]any {
		return map[string]any{"think": "fast", "regex": `It is late\.`, "max_tokens": 20, "logit_bias": map[string]any{fmt.Sprint(k.encode(">")[0]): 100}}
	}
	return []func(){
		func() {
			if r := k.ask(ruled, []string{"What is the time?"}, fields()); r.text != "It is late." || r.reasoning != "" {
				k.t.Errorf("%s: %q and %q", k.name, r.text, r.reasoning)
			}
		},
		func() {
			r := k.ask(ruled, []string{"What is the time?", "It is late.", "And there?"}, fields())
			k.cost("stripped", r, k.count(" It is late.", "\n\n", opening)+k.turn("And there?"))
		},
	}
}

// A time stamp in the system prompt costs what stands behind it, from the third request on: the second is the first that
// knows where texts part.
func stampedTurns(k *talker) []func() {
	rules := strings.Repeat("Be kind and think before you answer. ", 20)
	ask := func(time string) (r answerOf, most int) {
		text := "The time is [" + time + "]. Be brief."
		return k.ask(rules+text, []string{"Hello!"}, nil), k.count(text, "\n\n") + k.turn("Hello!")
	}
	late := func(time string) func() {
		return func() {
			if r, most := ask(time); r.prompt-r.cached > most || r.prompt-r.cached < 10 {
				k.t.Errorf("%s: %d tokens were read, want at most the %d from the time on", k.name, r.prompt-r.cached, most)
			}
		}
	}
	return []func(){func() { ask("10:46:12") }, func() { ask("11:47:13") }, late("12:48:14"), late("13:59:59")}
}

// Sentences end in tokens that may take a line's end with them. Neither a user's turn nor an answer is read again for that.
func punctuatedTurns(k *talker, first, answer, next string) []func() {
	fields := map[string]any{"regex": answer, "max_tokens": 60}
	var before answerOf
	step := func(said ...string) func() {
		return func() {
			r := k.ask("", said, fields)
			if r.text != answer {
				k.t.Errorf("%s: the answer is %q", k.name, r.text)
			}
			if len(said) > 1 {
				k.goesOn(fmt.Sprintf("after %d messages", len(said)), before, r)
				if most := k.count(answer, "\n\n") + k.turn(next); r.prompt-r.cached > most {
					k.t.Errorf("%s: %d tokens were read, want at most the turn's own %d", k.name, r.prompt-r.cached, most)
				}
			}
			before = r
		}
	}
	return []func(){step(first), step(first, answer, next), step(first, answer, next, answer, next)}
}

// A prompt of some 40 tokens is as well kept as a long one.
func shortTurns(k *talker) []func() {
	const instruction = "Say it in Japanese."
	words := []string{"Hello!", "You are late", "the time", "Hel"}
	var all []func()
	for i, word := range words {
		all = append(all, func() {
			r := k.ask(instruction, []string{word}, nil)
			if i == 0 {
				if r.prompt > 45 || r.cached != 0 {
					k.t.Errorf("%s: %d tokens, %d cached", k.name, r.prompt, r.cached)
				}
				return
			}
			k.want(word, r, k.turn(word))
			k.want(word+" again", k.ask(instruction, []string{word}, nil), k.reply())
		})
	}
	return all
}

// Answers come back without the white space at their ends, or with more of it.
func trimmedTurns(k *talker) []func() {
	fields := map[string]any{"regex": `Hello there\n? ?`, "max_tokens": 20}
	var before answerOf
	again := func(returned, next string) func() {
		return func() {
			r := k.ask("", []string{"Hello!", returned, next}, nil)
			if fed := before.prompt + before.drawn - 1; r.cached < fed-2 || r.cached > fed {
				k.t.Errorf("%s: %q: %d tokens were cached, want the %d of the turn before, but for white space", k.name, returned, r.cached, fed)
			}
		}
	}
	return []func(){
		func() {
			if before = k.ask("", []string{"Hello!"}, fields); !strings.HasPrefix(before.text, "Hello there") {
				k.t.Errorf("%s: %q", k.name, before.text)
			}
		},
		again("Hello there", "Thank you"), again("  Hello there \n", "And then?"), again("\r\nHello there\r\n\r\n", "Go on"),
	}
}

// A completion's prompt that comes again is not read again, but for the token that gives the logits.
func completionTurns(k *talker) []func() {
	text := strings.Repeat("A fox and a hare lived in a wood. ", 4)
	ask := func(prompt any) answerOf {
		return k.post("/v1/completions", map[string]any{"prompt": prompt, "max_tokens": 3, "temperature": 0})
	}
	again := func() {
		k.want("text", ask(text), 1)
		k.want("ids", ask(k.encode(text)), 1)
	}
	return []func(){func() { k.want("first", ask(text), k.count(text)) }, again, again}
}
