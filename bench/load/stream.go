package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// target is a server, and how to reach it.
type target struct {
	url, key string
	http     *http.Client
}

func newTarget(url, key string, clients int) *target {
	return &target{strings.TrimSuffix(url, "/"), key, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients, MaxIdleConns: clients}}}
}

// ask is one request for a stream.
type ask struct {
	kind   string // chat, turn or completion
	path   string
	body   map[string]any
	leave  bool          // reports whether the client leaves before the end
	pieces int           // after how many pieces it does; if that is 0, after a time
	after  time.Duration // that time
}

// outcome is what came of a request.
type outcome struct {
	kind             string
	status           int           // of HTTP; 0 if no answer came
	err              error         // nil for a whole answer, and where the client left
	left             bool          // reports whether the client left before the end
	retry            time.Duration // after which the server wants to be asked again, with status 429
	first            time.Duration // to the first piece of text; 0 if none came
	gaps             []time.Duration
	text             string
	prompt, cached   int
	drawn            int
	finish           string
	began            time.Time
	took             time.Duration
	ended, usageCame bool
}

// do sends a request and reads what comes.
func (t *target) do(ctx context.Context, a *ask) *outcome {
	o := &outcome{kind: a.kind, began: time.Now()}
	defer func() { o.took = time.Since(o.began) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if a.leave && a.pieces == 0 {
		timer := time.AfterFunc(a.after, func() { cancel() })
		defer timer.Stop()
	}
	r, err := t.send(ctx, a)
	if err == nil {
		defer func() { _ = r.Body.Close() }() // read to its end, or left
		o.status = r.StatusCode
		if err = refused(r, o); err == nil {
			err = o.read(r.Body, a)
		}
	}
	switch {
	case errors.Is(err, errLeft), err != nil && a.leave && ctx.Err() != nil:
		o.left = true
	default:
		o.err = err
	}
	return o
}

// send sends a request and waits for the head of the answer.
func (t *target) send(ctx context.Context, a *ask) (*http.Response, error) {
	body, err := json.Marshal(a.body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+a.path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	t.sign(r)
	return t.http.Do(r)
}

func (t *target) sign(r *http.Request) {
	if t.key != "" {
		r.Header.Set("Authorization", "Bearer "+t.key)
	}
}

// errLeft ends the reading of an answer that the client leaves.
var errLeft = errors.New("left")

// refused returns the error of an answer that is no stream.
func refused(r *http.Response, o *outcome) error {
	if r.StatusCode == http.StatusOK {
		if kind := r.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
			return fmt.Errorf("want a stream of events, got %q", kind)
		}
		return nil
	}
	if r.StatusCode == http.StatusTooManyRequests {
		seconds, err := strconv.Atoi(r.Header.Get("Retry-After"))
		if err != nil || seconds < 1 {
			return fmt.Errorf("status 429: want Retry-After with a number of seconds, got %q", r.Header.Get("Retry-After"))
		}
		o.retry = time.Duration(seconds) * time.Second
	}
	text, _ := io.ReadAll(io.LimitReader(r.Body, 300)) // for the error alone
	return fmt.Errorf("status %d: %s", r.StatusCode, text)
}

// event is what a stream's events have that counts here.
type event struct {
	Error   json.RawMessage
	Choices []struct {
		Text  string
		Delta struct {
			Content   string
			Reasoning string `json:"reasoning_content"`
		}
		Finish string `json:"finish_reason"`
	}
	Usage *struct {
		Prompt  int `json:"prompt_tokens"`
		Drawn   int `json:"completion_tokens"`
		Details struct {
			Cached int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	}
}

// read reads the events of an answer.
func (o *outcome) read(body io.Reader, a *ask) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	last, pieces := time.Time{}, 0
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue // an empty line or a comment
		}
		if data == "[DONE]" {
			o.ended = true
			continue
		}
		text, err := o.take(data)
		if err != nil {
			return err
		}
		if text == "" {
			continue
		}
		now := time.Now()
		if pieces++; pieces == 1 {
			o.first = now.Sub(o.began)
		} else {
			o.gaps = append(o.gaps, now.Sub(last))
		}
		last = now
		if a.leave && a.pieces > 0 && pieces >= a.pieces {
			return errLeft
		}
	}
	return o.whole(lines.Err())
}

// take takes the data of an event, and returns its text.
func (o *outcome) take(data string) (string, error) {
	var e event
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		return "", fmt.Errorf("event: %w", err)
	}
	if e.Error != nil {
		return "", fmt.Errorf("event of an error: %.300s", e.Error)
	}
	if u := e.Usage; u != nil {
		o.prompt, o.cached, o.drawn, o.usageCame = u.Prompt, u.Details.Cached, u.Drawn, true
	}
	text := ""
	for _, c := range e.Choices {
		text += c.Text + c.Delta.Reasoning + c.Delta.Content
		o.text += c.Text + c.Delta.Content
		if c.Finish != "" {
			o.finish = c.Finish
		}
	}
	return text, nil
}

// whole returns what a stream that has ended lacks.
func (o *outcome) whole(err error) error {
	switch {
	case err != nil:
		return err
	case !o.ended:
		return errors.New("the stream ends without [DONE]")
	case o.finish == "":
		return errors.New("the stream ends without a finish_reason")
	case !o.usageCame || o.prompt < 1 || o.cached < 0 || o.cached >= o.prompt:
		return fmt.Errorf("usage: want some tokens of a prompt and fewer cached ones, got %d and %d", o.prompt, o.cached)
	}
	return nil
}
