package main

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// target is a system that an archive is for.
type target struct {
	os, arch string
	cc       string // the C compiler if the target is another system than this one
}

// targets are all that an archive can be made for, somewhere: those of a Mac need a Mac.
var targets = []target{
	{"linux", "amd64", "x86_64-linux-gnu-gcc"},
	{"linux", "arm64", "aarch64-linux-gnu-gcc"},
	{"windows", "amd64", "x86_64-w64-mingw32-gcc"},
	{"darwin", "amd64", "clang"},
	{"darwin", "arm64", "clang"},
}

func (t *target) String() string { return t.os + "/" + t.arch }

// here reports whether the target's archive can be made on this system.
func (t *target) here() bool { return (t.os == "darwin") == (runtime.GOOS == "darwin") }

// chosenTargets returns the targets of the names, or without names all that can be made here.
func chosenTargets(names []string) (list []target, err error) {
	var all []string
	for _, t := range targets {
		if t.here() {
			all = append(all, t.String())
			if len(names) == 0 || slices.Contains(names, t.String()) {
				list = append(list, t)
			}
		}
	}
	for _, name := range names {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("target: want some of %s, which can be built here, got %q", strings.Join(all, ", "), name)
		}
	}
	return list, nil
}

// program is what is built.
const program = "./cmd/rwkv-gpu"

// env is the environment of the target's build. It has no setting of whoever builds that would change the binary.
func (t *target) env() []string {
	list := []string{"GOOS=" + t.os, "GOARCH=" + t.arch, "CGO_ENABLED=1", "CGO_CFLAGS=-O2", "CGO_CPPFLAGS=", "CGO_LDFLAGS=",
		"GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off", "GOAMD64=v1", "GOARM64=v8.0"}
	if t.os != runtime.GOOS || t.arch != runtime.GOARCH {
		list = append(list, "CC="+t.cc)
	}
	return list
}

// binary is the program's file name.
func (t *target) binary() string {
	if t.os == "windows" {
		return "rwkv-gpu.exe"
	}
	return "rwkv-gpu"
}

// build builds the program into a folder and returns its path.
func (t *target) build(dir string) (string, error) {
	path := filepath.Join(dir, t.os+"-"+t.arch, t.binary())
	c := command(t.env(), "go", "build", "-trimpath", "-buildvcs=true", "-ldflags=-s -w", "-o", path, program)
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: go build: %w: %s", t, err, out)
	}
	return path, nil
}

// sameModules returns an error unless the modules of a list are those that a binary says it was made of.
func sameModules(path string, list []module) error {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return err
	}
	var says, have []string
	for _, d := range info.Deps {
		says = append(says, d.Path+" "+d.Version)
	}
	for _, m := range list {
		have = append(have, m.path+" "+m.version)
	}
	slices.Sort(says)
	slices.Sort(have)
	if !slices.Equal(says, have) {
		return fmt.Errorf("%s: want licences of the modules %q, got those of %q", path, says, have)
	}
	return nil
}

// command is a program in another environment than this one's.
func command(env []string, name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), env...)
	return c
}

// output returns what a program writes, without the newline at the end.
func output(env []string, name string, args ...string) (string, error) {
	out, err := command(env, name, args...).Output()
	if err != nil {
		return "", failed(name+" "+strings.Join(args, " "), err)
	}
	return string(bytes.TrimSuffix(out, []byte("\n"))), nil
}

// failed names a program that failed, with what it said.
func failed(name string, err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(exit.Stderr))
	}
	return fmt.Errorf("%s: %w", name, err)
}
