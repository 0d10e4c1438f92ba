package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/hub"
	"github.com/rwkv-gpu/rwkv-gpu/hub/fetch"
	"github.com/rwkv-gpu/rwkv-gpu/load"
)

// chosenFolders returns the file that keeps the folders of --dir.
func chosenFolders() hub.Folders {
	if dir := load.DataDir(); dir != "" {
		return hub.Folders(filepath.Join(dir, "folders"))
	}
	return ""
}

// caches are the folders that models are looked for in, that of new ones first. dir is the folder of --dir, "" without.
func caches(dir string) (list []hub.Cache) {
	if dir != "" {
		list = append(list, hub.Cache(dir))
	}
	if e := hub.ReadEnvironment(); e.Cache != "" {
		list = append(list, e.Cache)
	}
	for _, c := range chosenFolders().List() {
		if !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// findModels makes names in --model and --draft the paths of those models.
func (a *app) findModels() error {
	if err := findModel("--model", &a.common.model); err != nil {
		return err
	}
	return findModel("--draft", &a.common.draft)
}

// findModel makes a name that a flag has the path of that model.
func findModel(flag string, text *string) error {
	if !hub.IsName(*text) {
		return nil
	}
	if _, err := os.Stat(*text); err == nil { // a file that has such a name
		return nil
	}
	n, err := hub.Parse(*text)
	if err != nil {
		return hubFault(flag, err)
	}
	m, err := hub.Find(caches(""), n)
	if err != nil {
		return hubFault(flag, err)
	}
	*text = m.Path
	return nil
}

// hubFault gives errors of names and of fetching their exit status.
func hubFault(where string, err error) error {
	var name *hub.NameError
	var absent *hub.NotHereError
	var several *hub.SeveralError
	var fault *fetch.Error
	switch {
	case errors.As(err, &name):
		return usagef(where, "%w", err)
	case errors.As(err, &absent), errors.As(err, &several):
		return inputf(where, "%w", err)
	case !errors.As(err, &fault):
		return err
	}
	status := statusFailed
	switch fault.Kind {
	case fetch.NotFound, fetch.Denied, fetch.Damaged:
		status = statusInput
	case fetch.Network, fetch.Changed, fetch.Space, fetch.Local:
	}
	return &failure{status, "", err}
}

// pullProgress draws a bar for each phase of fetching, and writes notices between them.
type pullProgress struct {
	mu     sync.Mutex
	a      *app
	newBar func(what string) (draw func(done, all int64) error, clear func())
	what   string
	all    int64
	draw   func(done, all int64) error
	clear  func()
}

// report draws how much is there.
func (p *pullProgress) report(what string, done, all int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draw == nil || what != p.what || all != p.all {
		p.end()
		p.what, p.all = what, all
		p.draw, p.clear = p.newBar(what)
	}
	_ = p.draw(done, all) // the context ends the pull
}

// notice writes a line above the bar.
func (p *pullProgress) notice(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
	p.a.notice("%s", text)
}

// end removes the bar. The caller holds the lock, or is alone.
func (p *pullProgress) end() {
	if p.clear != nil {
		p.clear()
	}
	p.draw, p.clear = nil, nil
}
