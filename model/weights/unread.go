package weights

import (
	"maps"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// A tensor may have a type that is not read, for example a mask of bools or a step as an integer. Its file is not
// refused if the model does without it. The tensor's name and type are kept, so that errors about a wanted tensor can
// name them.

// unread is such a tensor: its name and type as the file has them.
type unread struct{ name, typ string }

// names returns the names of all tensors as the file has them, the unread ones last.
func (c *contents) names() []string {
	var names []string
	for _, t := range c.tensors {
		names = append(names, t.Name)
	}
	for _, u := range c.unread {
		names = append(names, u.name)
	}
	return names
}

// typeNames are the types that are read from files of a format, for errors.
func typeNames(format string) string {
	list := tensor.Types
	if format == ggufFormat {
		list = slices.Concat(list, tensor.BlockTypes)
	}
	var names []string
	for _, t := range list {
		names = append(names, t.String())
	}
	return strings.Join(names, ", ")
}

// unreadError returns the error about a wanted tensor of a type that is not read.
func unreadError(file, format, name, typ string) *Error {
	return &Error{File: file, Tensor: name, Field: "dtype", Want: "one of " + typeNames(format), Got: typ}
}

// RefuseUnread returns an error about the first tensor of a type that is not read. It is for files in which every
// tensor counts.
func (f *File) RefuseUnread() error {
	for _, name := range slices.Sorted(maps.Keys(f.Unread)) {
		return unreadError(f.Path, f.Format, name, f.Unread[name])
	}
	return nil
}
