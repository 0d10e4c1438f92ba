package load

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// Input is one of the things that Options name.
type Input int

// The inputs, as the fields of Options.
const (
	Model Input = iota
	Vocab
	LoRA
	Quant
	State
	StateLayout
	GroupNormEps
)

// String returns the input's name for people.
func (i Input) String() string {
	return [...]string{"model", "vocabulary", "LoRA", "quantization", "state", "state layout", "group norm epsilon"}[i]
}

// OptionError says that the value of an option cannot be used, at all or with this model.
type OptionError struct {
	Input Input
	Err   error // what was wanted and what was there, without the input
}

func (e *OptionError) Error() string { return e.Input.String() + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *OptionError) Unwrap() error { return e.Err }

// FileError says that a file cannot be used. It renders as one line that names the file.
type FileError struct {
	Input  Input
	Path   string // of the file, "" where Err names it
	Err    error
	Advice bool // reports whether another value of Input would help: then the caller may name its flag
}

func (e *FileError) Error() string {
	if e.Path == "" {
		return e.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// inFile returns err as a FileError, for the file at path that an input names. An err that already says whose fault it
// is stays as it is.
func inFile(in Input, path string, err error) error {
	var option *OptionError
	var file *FileError
	if err == nil || errors.As(err, &option) || errors.As(err, &file) {
		return err
	}
	var at *fs.PathError // its text would name the path a second time
	var weight *weights.Error
	var vocab *tokenizer.Error
	switch {
	case errors.As(err, &at):
		err = fmt.Errorf("%s: %w", at.Op, at.Err)
	case errors.As(err, &weight), errors.As(err, &vocab): // they name the file themselves
		path = ""
	}
	return &FileError{Input: in, Path: path, Err: err}
}

// Notice is a message for the user.
type Notice struct {
	Text   string
	Input  Input  // what Advice is a value of
	Advice string // what may be wanted instead, and when; "" for nothing
}

// String returns the notice as a line that names no option.
func (n Notice) String() string {
	if n.Advice == "" {
		return n.Text
	}
	return fmt.Sprintf("%s; %s %s", n.Text, n.Input, n.Advice)
}
