package bench

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
)

// With a program ends what it started, if the program is cut short.
func TestProcessCancel(t *testing.T) {
	const address, second = "RWKV_TEST_ADDRESS", "RWKV_TEST_SECOND"
	if at := os.Getenv(address); at != "" {
		if os.Getenv(second) == "" { // the program
			c := exec.Command(os.Args[0], "-test.run=^TestProcessCancel$")
			c.Env = append(os.Environ(), second+"=1")
			_ = c.Run() // until both are ended
			return
		}
		conn, err := net.Dial("tcp", at)
		if err == nil {
			_, _ = io.Copy(io.Discard, conn) // until this process is ended
		}
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	t.Setenv(address, l.Addr().String())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error)
	go func() {
		_, err := Program{os.Args[0], []string{"-test.run=^TestProcessCancel$"}}.run(ctx)
		ended <- err
	}()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil { // which waits for the end of what the program started
		t.Error("want nothing from it")
	}
}
