package main

import (
	"context"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/model"
)

// versionInfo is the answer of version --json.
type versionInfo struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	Models  string `json:"models"` // versions of RWKV that can run
}

// buildVersion reads what the Go toolchain noted in the binary.
func buildVersion() versionInfo {
	v := versionInfo{Version: "(devel)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Models: model.Supported()}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	return v
}

func (a *app) versionCommand() *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "Version of this program", Args: noArgs}
	return a.command(c, func(context.Context, []string) error {
		v := buildVersion()
		if a.common.json {
			return a.writeJSON(v)
		}
		return a.printf("rwkv-gpu %s (%s, %s/%s), runs RWKV %s\n", v.Version, v.Go, v.OS, v.Arch, v.Models)
	})
}
