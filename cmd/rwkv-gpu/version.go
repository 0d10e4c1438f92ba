package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/engine/cpu"
	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/shaders"
)

// release is the version of a build without Git: -ldflags "-X main.release=v1.2.3".
var release string

// versionInfo is the answer of version --json.
type versionInfo struct {
	Version   string    `json:"version"`
	Commit    string    `json:"commit,omitempty"`
	Time      string    `json:"commit_time,omitempty"` // RFC 3339
	Modified  bool      `json:"modified"`              // the source differed from the commit
	Go        string    `json:"go"`
	OS        string    `json:"os"`
	Arch      string    `json:"arch"`
	ArchLevel string    `json:"arch_level,omitempty"` // of the processors that the Go code runs on, such as v1 of amd64
	Compiler  string    `json:"c_compiler"`
	Tags      []string  `json:"tags"`
	Window    bool      `json:"window"` // view has its window
	CPU       cpuBuild  `json:"cpu_kernels"`
	Kernels   string    `json:"gpu_kernels"` // a checksum of all compiled shaders
	Demo      demoBuild `json:"demo"`
	Models    string    `json:"models"` // versions of RWKV that can run
}

// cpuBuild are levels of processor features.
type cpuBuild struct {
	Built []string `json:"built"`
	Here  []string `json:"here"` // those that this processor has
	Level string   `json:"level,omitempty"`
}

// demoBuild is the embedded model.
type demoBuild struct {
	Version    string `json:"version"`
	Parameters int    `json:"parameters"`
	Bytes      int    `json:"bytes"`
	SHA256     string `json:"sha256"`
}

// buildVersion reads what the Go toolchain noted in the binary.
func buildVersion() versionInfo {
	v := versionInfo{Version: "(devel)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Tags: []string{}}
	info, ok := debug.ReadBuildInfo()
	if ok && info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	if release != "" {
		v.Version = release
	}
	if !ok {
		return v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		case "-tags":
			v.Tags = strings.Split(s.Value, ",")
		case "GO" + strings.ToUpper(runtime.GOARCH):
			v.ArchLevel = s.Value
		}
	}
	return v
}

// describeBuild returns all of what the binary holds.
func describeBuild() (v versionInfo, err error) {
	v = buildVersion()
	m, err := load.Open(load.Options{})
	if err != nil {
		return v, err
	}
	sum := sha256.Sum256(demo.Weights())
	v.Demo = demoBuild{m.Version, m.Parameters(), len(demo.Weights()), hex.EncodeToString(sum[:])}
	v.CPU = cpuBuild{Built: cpu.Built(), Here: cpu.Levels()}
	v.CPU.Level, _ = cpu.LevelName() // "" if RWKV_CPU names none that is here
	v.Compiler, v.Window = cpu.Compiler(), hasWindow
	v.Kernels, v.Models = shaders.Sum(""), model.Supported()
	return v, m.Close()
}

const versionHelp = `Say what this program was built from and with, and what it carries: for a bug report.

The version is that of a tag of its source, or else made of the commit and its time. GPU kernels are named by a checksum.
A build of source that differs from its commit says so.`

func (a *app) versionCommand() *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "Version of this program", Long: versionHelp, Args: noArgs}
	return a.command(c, func(context.Context, []string) error {
		v, err := describeBuild()
		if err != nil {
			return err
		}
		if a.common.json {
			return a.writeJSON(v)
		}
		return a.printf("%s", v.text())
	})
}

// text describes the build for people.
func (v *versionInfo) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "rwkv-gpu %s\n", v.Version)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	if v.Commit != "" {
		changed := ""
		if v.Modified {
			changed = ", changed since"
		}
		row("commit", "%s of %s%s", v.Commit, v.Time, changed)
	}
	row("system", "%s", strings.TrimSpace(v.OS+"/"+v.Arch+" "+v.ArchLevel))
	row("compilers", "Go %s, %s", strings.TrimPrefix(v.Go, "go"), v.Compiler)
	window := "no window (make view builds one)"
	if v.Window {
		window = "with the window of view"
	}
	row("build", "%s", strings.Join(append([]string{window}, v.Tags...), ", tag "))
	level := "RWKV_CPU names none of them that runs here"
	if v.CPU.Level != "" {
		level = "here " + v.CPU.Level
	}
	row("CPU kernels", "%s; %s", strings.Join(v.CPU.Built, ", "), level)
	row("GPU kernels", "%s", v.Kernels)
	row("runs", "RWKV %s", v.Models)
	row("demo model", "RWKV-%s, %s, sha256 %s", strings.TrimPrefix(v.Demo.Version, "v"), words.Plural(v.Demo.Parameters, "parameter"), v.Demo.SHA256)
	return b.String()
}
