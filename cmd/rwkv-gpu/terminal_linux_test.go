package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a command on a terminal of its own.
type terminal struct {
	t       *testing.T
	command *exec.Cmd
	user    *os.File // what the user types goes in here
	chunks  chan string
	seen    strings.Builder
}

// onTerminal starts the command on a terminal of 80 columns and 24 rows.
func onTerminal(t *testing.T, env []string, args ...string) *terminal {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	number, err := unix.IoctlGetUint32(int(user.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(int(user.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	}
	if err != nil {
		t.Fatal(err)
	}
	screen, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t: t, command: child(args...), user: user, chunks: make(chan string)}
	x.command.Stdin, x.command.Stdout, x.command.Stderr = screen, screen, screen
	x.command.Env = append(append(x.command.Env, "NO_COLOR=", "CI="), env...) // without colours where CI is set
	x.command.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := x.command.Start(); err != nil {
		t.Fatal(err)
	}
	_ = screen.Close() // the command has it
	t.Cleanup(func() {
		_ = x.command.Process.Kill()
		_ = user.Close()
	})
	go func() {
		defer close(x.chunks)
		for buffer := make([]byte, 4096); ; {
			n, err := user.Read(buffer)
			if n > 0 {
				x.chunks <- string(buffer[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	return x
}

// until waits for a text that was not seen before.
func (x *terminal) until(text string) {
	x.t.Helper()
	for part := ""; !strings.Contains(part, text); {
		select {
		case chunk, more := <-x.chunks:
			if !more {
				x.t.Fatalf("want %q, got %q", text, x.seen.String())
			}
			part += chunk
			x.seen.WriteString(chunk)
		case <-time.After(2 * time.Minute):
			x.t.Fatalf("want %q, got %q", text, x.seen.String())
		}
	}
}

func (x *terminal) types(text string) {
	x.t.Helper()
	if _, err := x.user.WriteString(text); err != nil {
		x.t.Fatal(err)
	}
}

// ends waits for the end and returns all that was on the terminal.
func (x *terminal) ends() string {
	x.t.Helper()
	for chunk := range x.chunks {
		x.seen.WriteString(chunk)
	}
	if err := x.command.Wait(); err != nil {
		x.t.Errorf("%v: %q", err, x.seen.String())
	}
	return x.seen.String()
}

// A terminal has a screen, in colours unless they are not wanted. One that can do nothing has lines, each behind a prompt.
func TestChatOnTerminal(t *testing.T) {
	const alternate, normal = "\x1b[?1049h", "\x1b[?1049l"
	for name, c := range map[string]struct {
		env     []string
		args    []string
		screen  bool
		colours bool
	}{
		"screen":    {[]string{"TERM=xterm-256color"}, nil, true, true},
		"NO_COLOR":  {[]string{"TERM=xterm-256color", "NO_COLOR=1"}, nil, true, false},
		"dumb":      {[]string{"TERM=dumb"}, nil, false, false},
		"no screen": {[]string{"TERM=xterm-256color"}, []string{"--no-tui"}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			x := onTerminal(t, c.env, append([]string{"chat", "--device", "cpu", "--seed", "1", "-n", "5"}, c.args...)...)
			if c.screen {
				x.until("/help") // the placeholder, whose first letter is under the cursor
				x.types("Hello\r")
				x.until("tokens/s")
				x.types("\x04")
			} else {
				x.until("> ")
				x.types("Hello\n")
				x.until("\r\n\r\n> ")
				x.types("/quit\n")
			}
			all := x.ends()
			if strings.Contains(all, alternate) != c.screen || strings.Contains(all, normal) != c.screen {
				t.Errorf("a screen: %q", all)
			}
			if colours := regexp.MustCompile(`\x1b\[[0-9;]*m`).MatchString(strings.ReplaceAll(all, "\x1b[0m", "")); colours != c.colours {
				t.Errorf("colours %t: %q", colours, all)
			}
			if strings.Contains(all, "\x1b]11;?") || strings.Contains(all, "\x1b[6n") {
				t.Errorf("the terminal is asked: %q", all)
			}
			if !c.screen && strings.Contains(all, "\x1b") {
				t.Errorf("commands for the terminal: %q", all)
			}
		})
	}
}
