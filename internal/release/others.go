package main

import (
	"os"
	"path/filepath"
	"strings"
)

// otherNotices are those for what is in a binary beside Go modules.
func otherNotices(t *target, root string) ([]notice, error) {
	goroot, err := output(nil, "go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	version, err := output(nil, "go", "env", "GOVERSION")
	if err != nil {
		return nil, err
	}
	list := []notice{{title: "Go's standard library and runtime " + version, ids: []string{"BSD-3-Clause"}}}
	for _, name := range []string{"LICENSE", "PATENTS"} {
		if err := list[0].add(filepath.Join(goroot, name)); err != nil {
			return nil, err
		}
	}
	demo := notice{title: "The demo model and its draft (model/demo)", ids: []string{"Apache-2.0"}, texts: []string{}}
	for _, name := range []string{"MODEL_CARD.md", "DRAFT_CARD.md", "SOURCES.md"} {
		if err := demo.add(filepath.Join(root, "model", "demo", name)); err != nil {
			return nil, err
		}
	}
	list = append(list, demo, notice{title: "Khronos' Vulkan headers, in github.com/vulkan-go/vulkan", ids: []string{"Apache-2.0"},
		texts: []string{"Copyright (c) 2015-2018 The Khronos Group Inc.\n\nThe text of this licence is in the file LICENSE.\n"}})
	if t.os == "windows" {
		runtime := notice{title: "The runtime of MinGW-w64", ids: []string{"ZPL-2.1", "MIT", "public domain"}}
		if err := runtime.add(mingwCopyright); err != nil {
			return nil, err
		}
		list = append(list, runtime)
	}
	return list, nil
}

// mingwCopyright is where Debian has the licences of MinGW-w64.
const mingwCopyright = "/usr/share/doc/mingw-w64-common/copyright"

// add adds the text of a file.
func (n *notice) add(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	n.texts = append(n.texts, filepath.Base(path)+"\n\n"+strings.TrimSpace(string(text))+"\n")
	return nil
}

// excerpt returns the part of the project's README that tells a user what the program is and how it is called: its
// title, its first paragraph, and the list of commands.
func excerpt(readme string) (string, bool) {
	head, _, ok := strings.Cut(readme, "\n    make ")
	_, use, found := strings.Cut(readme, "\n## Use\n\n")
	list, _, ended := strings.Cut(use, "\n\n")
	return head + "\nINSTALL.md says where the files of this archive belong. The pages under docs/, which the list names, are in the\n" +
		"source.\n\n" + list + "\n", ok && found && ended
}
