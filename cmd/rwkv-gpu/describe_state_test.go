package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDescribeState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.safetensors")
	if r := cli("logits", "--tokens", "1,2,3", "--device", "cpu", "--state-out", path, "--quiet"); r.status != statusDone {
		t.Fatal(r)
	}
	var in stateInfo
	cliJSON(t, &in, "state", path)
	if in.Model != "v7" || !in.Fits || in.Tokens != 3 || in.Checksum != "ok" || in.Sampler || in.Pending != nil || in.ModelID == "" || in.Bytes < 1000 || in.Version == "" {
		t.Errorf("%+v", in)
	}
	if r := cli("state", path); r.status != statusDone || !strings.Contains(r.stdout, "after 3 tokens") || !strings.Contains(r.stdout, "fits") {
		t.Error(r)
	}
	other := tinyModel(t, nil)
	cliJSON(t, &in, "state", path, "--model", other)
	if in.Fits || in.Why == "" || in.Checksum != "ok" {
		t.Errorf("%+v", in)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	wantError(t, cli("state", writeFile(t, "broken", data), "--quiet"), statusFailed, "checksum")
	wantError(t, cli("state", writeFile(t, "short", data[:len(data)/2])), statusInput, "short")
	wantError(t, cli("state", writeFile(t, "text", []byte("no state"))), statusInput, "text")
	wantError(t, cli("state", "missing"), statusInput, "missing")
	wantError(t, cli("state"), statusUsage, "want one state file")
	demo := filepath.Join(t.TempDir(), "m.safetensors")
	if r := cli("convert", demo, "--quiet"); r.status != statusDone {
		t.Fatal(r)
	}
	wantError(t, cli("state", demo), statusInput, "format")
}
