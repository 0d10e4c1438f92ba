package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Program is a program with its arguments. It has the environment of this process.
type Program struct {
	Path string
	Args []string
}

// processRun is what one run of a program took and wrote.
type processRun struct {
	first  time.Duration // from the start to the first byte that was asked for, or to the end if there is none
	peak   int           // the most resident bytes; 0: not known
	stdout []byte
	stderr []byte
}

// ProcessError is the error of a program that ended with a status other than 0 or by a signal, did not start, or had to
// be ended.
type ProcessError struct {
	Path   string
	Status int    // -1: the program did not run to its end
	Ended  string // how it ended by itself, such as "exit status 3" or "signal: killed"; may be empty
	Line   string // the last line on its standard error, or why it did not run to its end
}

func (e *ProcessError) Error() string {
	if e.Ended == "" {
		return fmt.Sprintf("%s: %s", e.Path, e.Line)
	}
	return fmt.Sprintf("%s: %s: %s", filepath.Base(e.Path), e.Ended, e.Line)
}

const (
	// mostOutput bounds what a program may write to either output, in bytes.
	mostOutput = 64 << 20
	// mostTime bounds how long a program may run: a large model's test takes minutes on a slow device.
	mostTime = 3 * time.Hour
)

// peakSlack is how far two readings of one peak may be apart, in bytes: the system adds up pages now and then.
const peakSlack = 1 << 20

// stamped keeps what is written, and when the first byte came, or the first byte of a line that begins with a mark.
type stamped struct {
	text  bytes.Buffer // not embedded: its ReadFrom would pass Write by
	mark  byte         // 0: any byte counts
	later bool         // reports whether the line has begun with something else
	first time.Time
	full  func() // called when there is too much to keep
	over  bool   // reports whether there was
}

func (s *stamped) Write(p []byte) (int, error) {
	if s.first.IsZero() && s.marked(p) {
		s.first = time.Now()
	}
	if s.text.Len()+len(p) > mostOutput {
		s.over = true
		s.full()
		return 0, fmt.Errorf("want at most %d bytes of output", mostOutput)
	}
	return s.text.Write(p)
}

// marked reports whether p, which goes on with what was written, has a byte that counts.
func (s *stamped) marked(p []byte) bool {
	if s.mark == 0 {
		return len(p) > 0
	}
	for _, c := range p {
		switch {
		case c == s.mark && !s.later:
			return true
		case c == '\n':
			s.later = false
		case c != ' ' && c != '\t':
			s.later = true
		}
	}
	return false
}

// run runs the program to its end, and times the first byte of its standard output.
func (p Program) run(ctx context.Context) (processRun, error) { return p.runTo(ctx, 0, mostTime) }

// runTo runs the program to its end within a limit, and times the first byte of its standard output, or the first line
// that begins with a mark other than 0.
func (p Program) runTo(ctx context.Context, mark byte, limit time.Duration) (processRun, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, problems := stamped{mark: mark, full: cancel}, stamped{full: cancel}
	c := exec.CommandContext(limited, p.Path, p.Args...)
	c.Stdout, c.Stderr = &out, &problems
	c.WaitDelay = time.Second
	start := time.Now()
	release, err := startGroup(c)
	defer release()
	own := peakMemory()
	if err == nil {
		err = c.Wait()
	}
	all := time.Since(start)
	if ctx.Err() != nil {
		return processRun{}, ctx.Err()
	}
	r := processRun{first: all, stdout: out.text.Bytes(), stderr: problems.text.Bytes()}
	if !out.first.IsZero() {
		r.first = out.first.Sub(start)
	}
	var exit *exec.ExitError
	switch {
	case out.over || problems.over:
		return r, &ProcessError{Path: p.Path, Status: -1, Line: fmt.Sprintf("want at most %d bytes of output", mostOutput)}
	case err != nil && errors.Is(limited.Err(), context.DeadlineExceeded):
		return r, &ProcessError{Path: p.Path, Status: -1, Line: fmt.Sprintf("want its end within %v: %s", limit, lastLine(r.stderr))}
	case errors.As(err, &exit):
		return r, &ProcessError{p.Path, exit.ExitCode(), exit.String(), lastLine(r.stderr)}
	case err != nil:
		return r, &ProcessError{Path: p.Path, Status: -1, Line: err.Error()}
	}
	// The system counts a new process from the peak of the one that started it, about. A figure below that is not known.
	if peak := peakMemoryOf(c.ProcessState); peak > own+peakSlack {
		r.peak = peak
	}
	return r, nil
}

// lastLine returns the last line of a text that is not empty.
func lastLine(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return last
	}
	return "it says nothing on standard error"
}
