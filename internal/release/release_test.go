package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// put writes a file below a folder.
func put(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The same entries make the same bytes, and every reader gets them back.
func TestPack(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 8, time.FixedZone("", 7200))
	entries := []entry{{name: "tool", data: []byte{0, 1, 2}, program: true}, {name: "man/man1/tool.1", data: []byte("page")}, {name: "LICENSE"}}
	dir := t.TempDir()
	for _, ending := range []string{".tar.gz", ".zip"} {
		var packed [2][]byte
		for i := range packed {
			path := filepath.Join(dir, ending[1:]+string(rune('0'+i))+ending)
			if err := pack(path, "tool-v1", entries, at.In(time.FixedZone("", -3600*i))); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			packed[i] = data
			slices.Reverse(entries)
		}
		if !bytes.Equal(packed[0], packed[1]) {
			t.Errorf("%s: two archives of the same differ", ending)
		}
		got := unpack(t, ending, packed[0])
		want := []string{"tool-v1/LICENSE -rw-r--r-- ", "tool-v1/man/man1/tool.1 -rw-r--r-- page", "tool-v1/tool -rwxr-xr-x \x00\x01\x02"}
		if !slices.Equal(got, want) {
			t.Errorf("%s: want %q, got %q", ending, want, got)
		}
	}
	if err := pack(filepath.Join(dir, "x.zip"), "x", []entry{{name: "a"}, {name: "a"}}, at); err == nil || !strings.Contains(err.Error(), "two files a") {
		t.Error(err)
	}
}

// unpack returns the files of an archive with modes and content.
func unpack(t *testing.T, ending string, data []byte) (files []string) {
	t.Helper()
	add := func(name, mode string, r io.Reader, at time.Time) {
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Date(2026, 3, 4, 3, 6, 7, 0, time.UTC).Sub(at); d < 0 || d > 2*time.Second {
			t.Errorf("%s: %s", name, at)
		}
		files = append(files, name+" "+mode+" "+string(content))
	}
	if ending == ".zip" {
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			add(f.Name, f.Mode().String(), r, f.Modified)
		}
		return files
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Uname != "" {
			t.Errorf("%+v", h)
		}
		add(h.Name, h.FileInfo().Mode().String(), r, h.ModTime)
	}
}

// A module without a licence, or under one that nobody has accepted, ends the release. Its notice has every text that
// is in its folders and above them.
func TestNotice(t *testing.T) {
	goroot, err := output(nil, "go", "env", "GOROOT")
	if err != nil {
		t.Fatal(err)
	}
	licence, err := os.ReadFile(filepath.Join(goroot, "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	bsd := string(licence)
	dir := t.TempDir()
	m := module{path: "example.org/m", version: "v1.0.0", dir: dir, folders: []string{"."}}
	want := func(part string) {
		t.Helper()
		if _, err := m.notice(); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("want %q, got %v", part, err)
		}
	}
	want("example.org/m v1.0.0: want a file with a licence that is known, got []")
	put(t, dir, "LICENSE", "All rights reserved.")
	want(`got ["LICENSE"]`)
	put(t, dir, "LICENSE", bsd)
	put(t, dir, "license.go", "package m")
	put(t, dir, "fonts/a/Copyright.txt", "of fonts")
	put(t, dir, "fonts/NOTICE", "above fonts")
	put(t, dir, "other/LICENSE", "of what is not used")
	m.folders = []string{"fonts/a"}
	n, err := m.notice()
	if err != nil || !slices.Equal(n.ids, []string{"BSD-3-Clause"}) || len(n.texts) != 3 {
		t.Fatalf("%v: %+v", err, n)
	}
	text := string(write([]notice{n}))
	for _, part := range []string{"example.org/m v1.0.0", "BSD-3-Clause", "--- LICENSE\n", "--- fonts/NOTICE\n\nabove fonts\n", "--- fonts/a/Copyright.txt\n", bsd[:40]} {
		if !strings.Contains(text, part) {
			t.Errorf("want %q in %s", part, text)
		}
	}
	put(t, dir, "COPYING", "GNU GENERAL PUBLIC LICENSE\nVersion 3\n\nSPDX-License-Identifier: GPL-3.0-only\n"+
		"This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public License as published by the "+
		"Free Software Foundation, either version 3 of the License, or (at your option) any later version.")
	want(", got GPL-3.0")
}

// Every library of the program, on every system, has a licence that is known and accepted.
func TestLicences(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	for _, target := range targets {
		modules, err := modulesOf(target.env(), program)
		if err != nil {
			t.Fatal(err)
		}
		if len(modules) < 30 {
			t.Errorf("%s: %d modules", &target, len(modules))
		}
		for _, m := range modules {
			n, err := m.notice()
			if err != nil {
				t.Errorf("%s: %v", &target, err)
			}
			if m.path == "codeberg.org/go-fonts/liberation" && !slices.Contains(n.ids, "OFL-1.1") {
				t.Errorf("%s: fonts under %q", &target, n.ids)
			}
		}
	}
}

func TestTargets(t *testing.T) {
	all, err := chosenTargets(nil)
	if err != nil || len(all) < 2 {
		t.Fatalf("%v: %v", all, err)
	}
	one, err := chosenTargets([]string{all[1].String()})
	if err != nil || len(one) != 1 || one[0] != all[1] {
		t.Errorf("%v: %v", one, err)
	}
	if _, err := chosenTargets([]string{"plan9/mips"}); err == nil || !strings.Contains(err.Error(), `target: want some of `+all[0].String()) {
		t.Error(err)
	}
}

// The archive's README begins as the project's does and has its list of commands.
func TestExcerpt(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	text, ok := excerpt(string(data))
	if !ok || !strings.HasPrefix(text, "# rwkv-gpu\n") || strings.Count(text, "\n    rwkv-gpu ") < 15 || strings.Contains(text, "make run") ||
		strings.Contains(text, "![") || len(text) > 5000 {
		t.Errorf("%v: %s", ok, text)
	}
	if _, ok := excerpt("# rwkv-gpu\n"); ok {
		t.Error("it has no list")
	}
}
