package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// child is a server that the command started.
type child struct {
	*exec.Cmd
	url, model, device string
}

// start starts a server by its command line, which has to have --json, and waits until it listens.
func start(args []string) (*child, error) {
	c := &child{Cmd: exec.Command(args[0], args[1:]...)}
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var said struct{ Listening, Model, Device string }
	if err == nil {
		err = json.Unmarshal(line, &said)
	}
	if err == nil && said.Listening == "" {
		err = errors.New("want an object that says where it listens (serve --json)")
	}
	if err != nil {
		_ = c.Process.Kill() // it may have ended
		_ = c.Wait()         // likewise
		return nil, fmt.Errorf("%s: %w", args[0], err)
	}
	c.url, c.model, c.device = said.Listening, said.Model, said.Device
	return c, nil
}

// end has the server end in order.
func (c *child) end() error {
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := c.Wait(); err != nil {
		return fmt.Errorf("the server's end: %w", err)
	}
	return nil
}
