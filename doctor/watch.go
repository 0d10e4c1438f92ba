package doctor

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"sync"
	"time"
)

// Watch says how the process of an examination is watched.
type Watch struct {
	Device   string        // as Options have it
	Name     string        // of the model, as Options have it
	Patience time.Duration // how long a step that asks a driver may go on without a word

	Errors  string // what the last line of standard error begins with, if the process ends by an error of its own
	Trouble int    // the exit status of trouble with a device

	// LeaveOut keeps what the process crashed in as unfit on a device with its driver.
	LeaveOut func(device, driver, way, why string) error

	Progress func(done, all int)                    // of the conformance run
	Slow     func(step string, since time.Duration) // is told, once for each step, that a tenth of the patience is gone
}

// EndError is the error of a process that ended by itself without a report.
type EndError struct {
	Status int
	Line   string // the last line of its standard error
}

func (e *EndError) Error() string { return e.Line }

const (
	mostLine   = 16 << 20 // bytes of an event
	mostStderr = 1 << 20  // bytes that are kept of standard error
	lastWait   = 5        // beats, for a process that was ended
)

// beat is how often a process that is silent is looked at.
const beat = time.Second

// Run runs a process that writes the events of Examine to its standard output, and returns its report. If the process
// crashes in a driver, or if a driver does not answer, the report has what was found until then, says so, and its verdict
// is fail. log is what the process wrote to standard error beside its error. The process ends with its standard input.
func (w Watch) Run(ctx context.Context, c *exec.Cmd) (r *Report, log string, err error) {
	var stderr tail
	c.Stderr = &stderr
	in, err := c.StdinPipe()
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = in.Close() }()
	out, inner := io.Pipe()
	c.Stdout = inner
	if err := c.Start(); err != nil {
		return nil, "", err
	}
	ended, done := make(chan error, 1), make(chan struct{})
	defer close(done)
	go func() {
		err := c.Wait()
		_ = inner.Close() // never fails
		ended <- err
	}()
	s := &watched{Watch: w, report: &Report{}}
	hung := s.follow(ctx, events(out, done))
	if hung || ctx.Err() != nil {
		_ = in.Close()
		_ = out.Close()
		if hung {
			_ = c.Process.Kill() // it may have ended meanwhile
		}
	}
	select {
	case err = <-ended:
	case <-time.After(lastWait * beat):
		_ = c.Process.Kill()
		err = errors.New("it cannot be ended")
	}
	if ctx.Err() != nil {
		return nil, "", ctx.Err()
	}
	r, err = s.end(err, hung, stderr.String())
	return r, s.log, err
}

// events reads events until the output ends or nobody wants them. What is none is somebody else's.
func events(out io.Reader, done <-chan struct{}) <-chan *Event {
	list := make(chan *Event)
	go func() {
		defer close(list)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, mostLine)
		for lines.Scan() {
			x := new(Event)
			if json.Unmarshal(lines.Bytes(), x) != nil || x.Step == "" {
				continue
			}
			select {
			case list <- x:
			case <-done:
				return
			}
		}
		_, _ = io.Copy(io.Discard, out) // a line that is too long
	}()
	return list
}

// watched is a process that is watched.
type watched struct {
	Watch
	last   Event // whose step goes on
	report *Report
	over   bool
	log    string
}

// follow follows the events until they end, and reports whether a driver does not answer. The time in which this process
// is stopped does not count, since beats are lost then.
func (s *watched) follow(ctx context.Context, list <-chan *Event) (hung bool) {
	beats := time.NewTicker(beat)
	defer beats.Stop()
	var silent time.Duration
	for told := false; ; {
		select {
		case x, ok := <-list:
			if !ok {
				return false
			}
			silent, told = 0, false
			s.take(x)
		case <-beats.C:
			silent += beat
			if !s.last.Asks {
				silent = 0
			}
			if silent > s.Patience {
				return true
			}
			if silent > s.Patience/10 && !told {
				told = true
				s.Slow(s.last.Step, silent)
			}
		case <-ctx.Done():
			return false
		}
	}
}

// take takes an event.
func (s *watched) take(x *Event) {
	if x.Report != nil {
		s.report, x.Report = x.Report, nil
	}
	s.over = x.Over
	s.last = *x
	if x.All > 0 {
		s.Progress(x.Done, x.All)
	}
}

// tail keeps the end of what is written.
type tail struct {
	mu   sync.Mutex
	data []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if more := len(t.data) - mostStderr; more > 0 {
		t.data = bytes.Clone(t.data[more:])
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.data)
}
