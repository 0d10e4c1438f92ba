// Command release builds the archives of a release, from the source in the working directory, which is a clean
// checkout: scripts/release.sh makes one. An archive has the program, manual pages, scripts for shells, and the
// licences of all that the program holds. The same commit, compilers and Go make the same bytes.
//
//	release -out DIR [OS/ARCH...]
package main

import (
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

func main() {
	out := flag.String("out", "dist", "folder of the archives")
	flag.Parse()
	if err := release(*out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release makes the archives of targets and the list of their checksums.
func release(out string, names []string) error {
	list, err := chosenTargets(names)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rwkv-gpu-release-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	host := target{os: runtime.GOOS, arch: runtime.GOARCH}
	mine, err := host.build(dir)
	if err != nil {
		return err
	}
	about, err := builtAs(mine)
	if err != nil {
		return err
	}
	common, err := shared(mine, dir)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, t := range list {
		name, err := archive(&t, about, common, dir, out)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			return err
		}
		line := fmt.Sprintf("%x  %s\n", sha256.Sum256(data), name)
		fmt.Print("release: ", line)
		sums.WriteString(line)
	}
	return os.WriteFile(filepath.Join(out, "SHA256SUMS"), []byte(sums.String()), 0o644) //nolint:gosec // all may read it
}

// build is what a program says of its source.
type build struct {
	Version  string    `json:"version"`
	Time     time.Time `json:"commit_time"`
	Modified bool      `json:"modified"`
}

// builtAs returns what a program says of its source, which has to be a commit.
func builtAs(path string) (b build, err error) {
	out, err := output(nil, path, "version", "--json")
	if err != nil {
		return b, err
	}
	if err := json.Unmarshal([]byte(out), &b); err != nil {
		return b, err
	}
	if b.Modified || b.Time.IsZero() {
		return b, fmt.Errorf("want a clean checkout of a commit, got %s", out)
	}
	return b, nil
}

// shared returns the files that are the same in every archive. program is a built one that runs here.
func shared(program, dir string) (list []entry, err error) {
	man := filepath.Join(dir, "man")
	if _, err := output(nil, program, "man", man); err != nil {
		return nil, err
	}
	pages, err := filepath.Glob(filepath.Join(literal(man), "*.1"))
	if err != nil {
		return nil, err
	}
	for _, page := range pages {
		data, err := os.ReadFile(page)
		if err != nil {
			return nil, err
		}
		list = append(list, entry{name: "man/man1/" + filepath.Base(page), data: data})
	}
	for shell, name := range map[string]string{"bash": "rwkv-gpu.bash", "zsh": "_rwkv-gpu", "fish": "rwkv-gpu.fish", "powershell": "rwkv-gpu.ps1"} {
		script, err := output(nil, program, "completion", shell)
		if err != nil {
			return nil, err
		}
		list = append(list, entry{name: "completions/" + name, data: []byte(script + "\n")})
	}
	for name, source := range map[string]string{"LICENSE": "LICENSE", "NOTICE": "NOTICE", "INSTALL.md": "docs/install.md"} {
		data, err := os.ReadFile(filepath.FromSlash(source))
		if err != nil {
			return nil, err
		}
		list = append(list, entry{name: name, data: data})
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		return nil, err
	}
	text, ok := excerpt(string(readme))
	if !ok {
		return nil, fmt.Errorf("README.md: want a first paragraph, then commands of make, and a list under \"## Use\"")
	}
	return append(list, entry{name: "README.md", data: []byte(text)}), nil
}

// archive makes the archive of a target in the folder out and returns its name.
func archive(t *target, about build, common []entry, dir, out string) (string, error) {
	path, err := t.build(dir)
	if err != nil {
		return "", err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	notices, err := t.notices(path)
	if err != nil {
		return "", err
	}
	entries := append([]entry{{name: t.binary(), data: data, program: true}, {name: "THIRD-PARTY-LICENSES.txt", data: write(notices)}}, common...)
	if t.os == "linux" {
		unit, err := os.ReadFile(filepath.Join("docs", "rwkv-gpu.service"))
		if err != nil {
			return "", err
		}
		entries = append(entries, entry{name: "rwkv-gpu.service", data: unit})
	}
	folder := strings.Join([]string{"rwkv-gpu", about.Version, t.os, t.arch}, "-")
	ending := ".tar.gz"
	if t.os == "windows" {
		ending = ".zip"
	}
	return folder + ending, pack(filepath.Join(out, folder+ending), folder, entries, about.Time)
}

// notices returns what is to be told of what is in the target's binary.
func (t *target) notices(binary string) ([]notice, error) {
	modules, err := modulesOf(t.env(), program)
	if err != nil {
		return nil, err
	}
	if err := sameModules(binary, modules); err != nil {
		return nil, err
	}
	list, err := otherNotices(t, ".")
	if err != nil {
		return nil, err
	}
	for _, m := range modules {
		n, err := m.notice()
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}
