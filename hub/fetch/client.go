package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// Source is an address of a file.
type Source struct {
	URL   string // http or https
	Token string // is sent to the scheme, host and port of URL and to no other; "" for none
}

// transport speaks HTTP/1.1 only: by HTTP/2 all requests would share one connection.
var transport http.RoundTripper = &http.Transport{
	Proxy:               http.ProxyFromEnvironment,
	DialContext:         (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
	TLSHandshakeTimeout: 30 * time.Second,
	IdleConnTimeout:     time.Minute,
	MaxIdleConnsPerHost: 16,
	Protocols:           onlyHTTP1(),
}

func onlyHTTP1() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(true)
	return p
}

// mostRedirects is how many other addresses a server may send a request to, one after the other.
const mostRedirects = 10

// answer is a server's answer. Its body ends with errStalled if too few bytes come.
type answer struct {
	*http.Response
	linked http.Header // of the first answer, redirects included, that tells a linked file's facts; nil for none
	commit string      // of the hub's repository, from the first answer that tells it; "" for none
	moved  bool        // reports whether another server than the asked one answered
}

// linkedETag is the header by which a hub tells the identity of a file that another server sends.
const linkedETag = "X-Linked-Etag"

// do sends a request and follows redirects. With stop it also stops at the first answer that tells a linked file's facts.
// A status of no success is a *statusError.
func (o *Options) do(ctx context.Context, method string, src Source, header http.Header, stop bool) (*answer, error) {
	origin, err := parse(src.URL)
	if err != nil {
		return nil, err
	}
	ctx, life := watch(ctx, o.Stall)
	a := &answer{}
	for at, hops := origin, 0; ; hops++ {
		resp, err := o.send(ctx, method, at, tokenFor(at, origin, src.Token), header)
		if err != nil {
			life.end()
			return nil, life.explain(err)
		}
		if a.linked == nil && resp.Header.Get(linkedETag) != "" {
			a.linked = resp.Header
		}
		if a.commit == "" {
			a.commit = resp.Header.Get("X-Repo-Commit")
		}
		a.Response, a.moved = resp, !sameOrigin(at, origin)
		to := resp.Header.Get("Location")
		if resp.StatusCode/100 != 3 || to == "" || stop && a.linked != nil {
			break
		}
		_ = resp.Body.Close() // nobody reads what stands beside a redirect
		if at, err = next(at, to, hops); err != nil {
			life.end()
			return nil, &Error{Kind: Network, Where: Plain(src.URL), Err: err}
		}
	}
	a.Body = &livingBody{a.Body, life}
	if stop && a.linked != nil || a.StatusCode/100 == 2 {
		return a, nil
	}
	_ = a.Body.Close() // the status is what counts
	return nil, &statusError{code: a.StatusCode, redirected: a.moved, wait: retryAfter(a.Header, time.Now()),
		ranges: a.Header.Get("Content-Range")}
}

// send sends one request.
func (o *Options) send(ctx context.Context, method string, to *url.URL, token string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, to.String(), nil)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Accept-Encoding", "identity") // ranges count the file's own bytes
	req.Header.Set("User-Agent", "rwkv-gpu")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := o.Transport.RoundTrip(req) // which follows no redirect
	var wrong *url.Error
	if errors.As(err, &wrong) { // it would show the address again, with its query
		err = wrong.Err
	}
	return resp, err
}

func parse(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, failed(NotFound, Plain(address), "want an address that begins with https:// or http://")
	}
	u.Fragment = ""
	return u, nil
}

// next returns the address that a redirect leads to.
func next(at *url.URL, location string, hops int) (*url.URL, error) {
	to, err := at.Parse(location)
	switch {
	case err != nil || to.Host == "" || to.Scheme != "http" && to.Scheme != "https":
		return nil, errors.New("it redirects to no address of http or https")
	case hops >= mostRedirects:
		return nil, fmt.Errorf("it redirects more than %d times", mostRedirects)
	case at.Scheme == "https" && to.Scheme == "http":
		return nil, fmt.Errorf("it redirects from https to http (%s)", to.Host)
	}
	return to, nil
}

// sameOrigin reports whether two addresses have the same scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		if p := u.Port(); p != "" {
			return p
		}
		return map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// tokenFor returns the token for a request to an address, if that is at the token's own server.
func tokenFor(at, origin *url.URL, token string) string {
	if sameOrigin(at, origin) {
		return token
	}
	return ""
}

// life watches a request: if too few bytes come in each period, it ends the request.
type life struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	bytes  atomic.Int64
}

// watch returns the context of a request, and what ends the request when it stalls.
func watch(ctx context.Context, period time.Duration) (context.Context, *life) {
	l := &life{}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	least := max(1, int64(slowest*period.Seconds()))
	go func() {
		ticks := time.NewTicker(period)
		defer ticks.Stop()
		for seen := int64(0); ; {
			select {
			case <-l.ctx.Done():
				return
			case <-ticks.C:
			}
			now := l.bytes.Load()
			if now-seen < least {
				l.cancel(errStalled)
				return
			}
			seen = now
		}
	}()
	return l.ctx, l
}

func (l *life) end() { l.cancel(context.Canceled) }

// explain returns errStalled in place of the error that it has led to.
func (l *life) explain(err error) error {
	if errors.Is(context.Cause(l.ctx), errStalled) {
		return errStalled
	}
	return err
}

// livingBody is a body that is watched until it is closed.
type livingBody struct {
	io.ReadCloser
	life *life
}

func (b *livingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.life.bytes.Add(int64(n))
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.life.explain(err)
	}
	return n, err
}

func (b *livingBody) Close() error {
	b.life.end()
	return b.ReadCloser.Close()
}
