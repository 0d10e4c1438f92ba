package doctor

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
)

// updateOr is what to do about a driver that fails as a whole.
const updateOr = "update the driver, or --device cpu; please report it with this text"

// faults matches what Go's runtime and the system say of a process whose own code, or a library's, made it end.
var faults = regexp.MustCompile(`(?m)^\[signal (SIG(?:SEGV|BUS|FPE))|^(SIG(?:ABRT|ILL|TRAP|SYS|SEGV|BUS|FPE)): |^(Exception 0x[0-9a-f]+)|` +
	`^signal: (segmentation fault|bus error|abort[a-z]*|illegal instruction|floating point exception|trace/breakpoint trap|bad system call)`)

// panics matches the line in which Go's runtime says what was wrong with this program.
var panics = regexp.MustCompile(`(?m)^(panic|fatal error): .*`)

// faultIn returns the fault of which a text tells, or "".
func faultIn(text string) string {
	return strings.Join(append(faults.FindStringSubmatch(text), "", "")[1:], "")
}

// end returns the report of a process that has ended, with what its end tells.
func (s *watched) end(err error, hung bool, stderr string) (*Report, error) {
	s.report.folders = folders(s.Name)
	status, ending := 0, ""
	if err != nil {
		status, ending = -1, err.Error()
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		status = exit.ExitCode()
	}
	fault := faultIn(ending + "\n" + stderr)
	if fault != "" {
		ending = fault
	}
	rest, own, isOwn := cutLast(stderr, s.Errors)
	mistake := panics.FindString(stderr)
	if fault == "" && mistake == "" { // a trace is for nobody
		s.log = rest
	}
	switch {
	case hung:
		s.failed(fmt.Sprintf("did not answer for %v", s.Patience), true)
	case s.over && err != nil:
		s.report.find(Warn, fmt.Sprintf("the process of the examination ended wrongly (%s) when it was done", ending), "update the driver")
		s.report.judge()
	case s.over:
	case fault == "" && isOwn && status == s.Trouble && s.last.Asks:
		s.failed("failed: "+own, false)
	case fault == "" && isOwn:
		return nil, &EndError{status, own}
	case s.last.Step == "" || fault == "" && mistake != "":
		return nil, &EndError{-1, strings.Join(strings.Fields("the process of the examination ended wrongly: "+ending+" "+mistake), " ")}
	default:
		s.failed(fmt.Sprintf("crashed (%s)", ending), fault != "")
	}
	return s.report, nil
}

// failed finds that the process did not get further. If the way that was tried is to blame, it is left out from now on.
func (s *watched) failed(how string, blame bool) {
	r, x := s.report, &s.last
	who, do, level := "the program", "please report it with this text", Fail
	switch {
	case x.Asks && len(r.Devices) == 0:
		who, do = "the Vulkan loader or a driver", "update the drivers, or --device cpu; VK_DRIVER_FILES=MANIFEST tries one driver alone"
	case x.Asks:
		who, do = "the driver", updateOr
	}
	if x.Asks && s.Device == "cpu" { // which drivers do not matter to
		level = Warn
	}
	if r.Why == "" {
		r.Why = who + " " + how
	}
	if blame && x.Way != "" && x.Of != nil {
		way := *x.Of
		way.OK, way.Fault = false, who+" "+how
		r.Ops = append(r.Ops, way)
		if err := s.LeaveOut(r.Chosen, r.Driver, x.Way, way.Fault); err != nil {
			r.find(Warn, fmt.Sprintf("what failed cannot be remembered: %v", err), "make the cache folder writable")
		} else {
			r.Unfit = append(r.Unfit, Unfit{Way: x.Way, Why: way.Fault, New: true})
			do = "run doctor again: it goes on without that form, which does not run any more with this driver; or " + do
		}
	}
	r.find(level, fmt.Sprintf("%s %s, in %s", who, how, x.Step), do)
	r.judge()
}

// cutLast cuts the last line from a text if it begins with a prefix, and returns it without that.
func cutLast(text, prefix string) (rest, line string, found bool) {
	text = strings.TrimRight(text, "\r\n")
	i := strings.LastIndexByte(text, '\n') + 1
	line, found = strings.CutPrefix(text[i:], prefix)
	if !found {
		return text, line, false
	}
	return text[:i], line, true
}
