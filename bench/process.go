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
	first  time.Duration // from the start to the first byte on standard output, or to the end if there is none
	peak   int           // the most resident bytes; 0: not known
	stdout []byte
	stderr []byte
}

// ProcessError is the error of a program that ended with a status other than 0, or did not start.
type ProcessError struct {
	Path   string
	Status int    // -1: the program did not run to its end
	Line   string // the last line on its standard error, or why it did not run
}

func (e *ProcessError) Error() string {
	if e.Status < 0 {
		return fmt.Sprintf("%s: %s", e.Path, e.Line)
	}
	return fmt.Sprintf("%s: exit status %d: %s", filepath.Base(e.Path), e.Status, e.Line)
}

// mostOutput bounds what a program may write to either output, in bytes.
const mostOutput = 64 << 20

// peakSlack is how far two readings of one peak may be apart, in bytes: the system adds up pages now and then.
const peakSlack = 1 << 20

// stamped keeps what is written, and when the first byte came.
type stamped struct {
	text  bytes.Buffer // not embedded: its ReadFrom would pass Write by
	first time.Time
}

func (s *stamped) Write(p []byte) (int, error) {
	if s.first.IsZero() && len(p) > 0 {
		s.first = time.Now()
	}
	if s.text.Len()+len(p) > mostOutput {
		return 0, fmt.Errorf("want at most %d bytes of output", mostOutput)
	}
	return s.text.Write(p)
}

// run runs the program to its end.
func (p Program) run(ctx context.Context) (processRun, error) {
	var out, problems stamped
	c := exec.CommandContext(ctx, p.Path, p.Args...)
	c.Stdout, c.Stderr = &out, &problems
	c.WaitDelay = time.Second
	start := time.Now()
	err := c.Start()
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
	case errors.As(err, &exit):
		return r, &ProcessError{p.Path, exit.ExitCode(), lastLine(r.stderr)}
	case err != nil:
		return r, &ProcessError{p.Path, -1, err.Error()}
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
