package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// deviceFile is the file that opens devices and makes executors. In the mutation test's command it makes the calls of
// hooks instead.
const deviceFile = "engine/device/device.go"

var hooks = []struct{ old, new string }{
	{"in.Device(index, gpu.DeviceOptions{})", "in.Device(index, mutantDevice())"},
	{"vulkan.New(", "newMutant("},
}

// hooked returns the text of deviceFile with the hooks.
func (s *sources) hooked() (string, error) {
	data, err := os.ReadFile(filepath.Join(s.root, deviceFile))
	if err != nil {
		return "", err
	}
	text := string(data)
	for _, h := range hooks {
		if n := strings.Count(text, h.old); n != 1 {
			return "", fmt.Errorf("%s: want this once, found it %d times: %s", deviceFile, n, h.old)
		}
		text = strings.Replace(text, h.old, h.new, 1)
	}
	return text, nil
}

// overlay writes what the go command takes for -overlay, and the files that it names, to a folder.
func (s *sources) overlay(dir string) (path string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	text, err := s.hooked()
	if err != nil {
		return "", err
	}
	changed := filepath.Join(dir, "device.go")
	if err := os.WriteFile(changed, []byte(text), 0o644); err != nil {
		return "", err
	}
	own := filepath.Join(s.root, "shaders", "internal", "mutants")
	data, err := json.Marshal(map[string]map[string]string{"Replace": {
		filepath.Join(s.root, "shaders", "zmutant.go"):          filepath.Join(own, "shaders.go.txt"),
		filepath.Join(s.root, "engine", "device", "zmutant.go"): filepath.Join(own, "device.go.txt"),
		filepath.Join(s.root, deviceFile):                       changed,
	}})
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, data, 0o644)
}
