//go:build view

package main

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// viewed runs the command line in a process of its own, whose main thread is the window system's.
func viewed(t *testing.T, env []string, args ...string) answer {
	t.Helper()
	c := child(append([]string{"view", "Once upon a time", "--quiet"}, args...)...)
	c.Env = append(c.Env, env...)
	c.Stdout, c.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return finish(t, c)
}

// needDisplay skips a test where there is no display, unless there has to be one.
func needDisplay(t *testing.T) {
	t.Helper()
	if os.Getenv("DISPLAY")+os.Getenv("WAYLAND_DISPLAY") == "" && os.Getenv("RWKV_REQUIRE_DISPLAY") != "1" {
		t.Skip("no display")
	}
}

// screenshot reads a picture, and counts the colors of a part of it.
func screenshot(t *testing.T, path string) (size image.Point, colors int) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[any]bool{}
	size = img.Bounds().Size()
	for y := range size.Y {
		for x := 0; x < size.X; x += 3 {
			seen[img.At(x, y)] = true
		}
	}
	return size, len(seen)
}

// A screenshot is the window's picture, of the size that was asked for, and nothing else is written. A head that is looked
// at closely changes it.
func TestViewScreenshot(t *testing.T) {
	needDisplay(t)
	dir := t.TempDir()
	take := func(name string, args ...string) []byte {
		t.Helper()
		path := filepath.Join(dir, name)
		r := viewed(t, nil, append([]string{"-n", "12", "--seed", "7", "--size", "640x480", "--screenshot", path}, args...)...)
		if r.status != statusDone || r.stdout+r.stderr != "" {
			t.Fatal(r)
		}
		if size, colors := screenshot(t, path); size != image.Pt(640, 480) || colors < 16 {
			t.Errorf("%s: %v, %d colors", name, size, colors)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	plain := take("a.png")
	if bytes.Equal(plain, take("b.png", "--head", "3", "--frames", "4")) {
		t.Error("a head that is looked at changes nothing")
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 2 {
		t.Errorf("left: %v, %v", list, err)
	}
}

// What view cannot do is one line of error with its status, and no picture is left.
func TestViewErrors(t *testing.T) {
	needDisplay(t)
	dir := t.TempDir()
	short := []string{"-n", "2", "--size", "300x300"}
	nowhere := filepath.Join(dir, "none", "a.png")
	wantError(t, viewed(t, nil, append(short, "--screenshot", nowhere)...), statusFailed, "view: "+nowhere+": open: no such file")
	wantError(t, viewed(t, nil, append(short, "--head", "100000")...), statusUsage, "--head: want one below ")
	wantError(t, viewed(t, nil, append(short, "--model", filepath.Join(dir, "none.st"))...), statusInput, "none.st")
	none := []string{"DISPLAY=", "WAYLAND_DISPLAY="}
	wantError(t, viewed(t, none, append(short, "--screenshot", filepath.Join(dir, "b.png"))...), statusDevice, "no window can be opened: ", "isplay")
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		t.Errorf("left: %v, %v", list, err)
	}
	if r := viewed(t, nil, "--size", "1x1"); !strings.Contains(r.stderr, "--size: want WxH") {
		t.Error(r)
	}
}
