package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
)

// listener opens the address, with TLS if that is wanted.
func (o *serveFlags) listener() (net.Listener, error) {
	var config *tls.Config
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.certKey)
		if err != nil {
			return nil, inputf(o.cert, "%w", err)
		}
		config = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	}
	l, err := net.Listen("tcp", o.listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("%w by another program: port 0 is a free one, as in --listen 127.0.0.1:0", err)
	}
	if err != nil {
		return nil, &failure{statusFailed, "--listen", err}
	}
	if config != nil {
		l = tls.NewListener(l, config)
	}
	return l, nil
}

// url returns where clients find the server.
func (o *serveFlags) url(l net.Listener) string {
	scheme := "http://"
	if o.cert != "" {
		scheme = "https://"
	}
	return scheme + l.Addr().String()
}

// page returns where a browser of this computer finds the chat.
func (o *serveFlags) page(l net.Listener) string {
	u := o.url(l) + "/"
	if addr, ok := l.Addr().(*net.TCPAddr); ok && addr.IP.IsUnspecified() { // no browser goes to all addresses
		u = strings.Replace(u, "://"+addr.String(), fmt.Sprintf("://localhost:%d", addr.Port), 1)
	}
	return u
}

// loopback reports whether a listener is reached from this computer alone.
func loopback(l net.Listener) bool {
	addr, ok := l.Addr().(*net.TCPAddr)
	return ok && addr.IP.IsLoopback()
}
