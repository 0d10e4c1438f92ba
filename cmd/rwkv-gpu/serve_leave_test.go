package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// endless is a request whose answer does not end within the test.
const endless = `{"prompt":"Once upon a time","max_tokens":1000000,"logit_bias":{"0":-100},"stream":%t}`

// leaveBound is how long slots may be taken after clients have left. Without other work it is less than a second. The
// answers would take much longer than the bound.
const leaveBound = time.Minute

// Clients that leave free their slots, parked states and places in the queue, however they leave, and whether their answer
// was to be a stream.
func TestServeLeaving(t *testing.T) {
	const slots, clients = 2, 7
	s := startServing(t, "--device", "cpu", "--max-sequences", fmt.Sprint(slots), "--queue", fmt.Sprint(clients), "--max-tokens", "1000000")
	for _, c := range []struct {
		how   string
		leave func(c *net.TCPConn) error
	}{
		{"closed", (*net.TCPConn).Close},
		{"half closed", (*net.TCPConn).CloseWrite},
		{"reset", func(c *net.TCPConn) error {
			if err := c.SetLinger(0); err != nil {
				return err
			}
			return c.Close()
		}},
	} {
		for _, stream := range []bool{true, false} {
			ok := t.Run(fmt.Sprintf("%s, stream %t", c.how, stream), func(t *testing.T) {
				drawn := s.metric(t, "rwkv_drawn_tokens_total", "")
				var list []*net.TCPConn
				for range clients {
					list = append(list, s.dial(t, fmt.Sprintf(endless, stream)))
				}
				s.until(t, "all work or wait", time.Minute, func() bool {
					return s.metric(t, "rwkv_requests_running", "") == clients+1 && s.metric(t, "rwkv_sequences_resident", "") == slots
				})
				for _, conn := range list {
					if err := c.leave(conn); err != nil {
						t.Fatal(err)
					}
				}
				took := s.untilIdle(t)
				t.Logf("%d clients are gone after %v", clients, took)
				if s.metric(t, "rwkv_drawn_tokens_total", "") <= drawn {
					t.Error("nothing was drawn for those who left")
				}
				for _, conn := range list {
					if c.how == "half closed" { // whose other half the server closes
						if _, err := io.Copy(io.Discard, conn); err != nil {
							t.Error(err)
						}
						_ = conn.Close() // nothing is on its way
					}
				}
			})
			if !ok {
				return // the slots are taken for long
			}
		}
	}
	got := s.post(t, "/v1/completions", `{"prompt":"Once upon a time","max_tokens":3}`)
	if got.Choices[0].Text == "" {
		t.Error("the server does not answer any more")
	}
	if status := s.end(t, syscall.SIGTERM); status != statusDone {
		t.Errorf("status %d: %s", status, s.log)
	}
}

// Clients that leave while their long prompts are read are read no further.
func TestServeLeavingWhileReading(t *testing.T) {
	s := startServing(t, "--device", "cpu", "--max-sequences", "2")
	body := fmt.Sprintf(`{"prompt":%q,"max_tokens":1}`, strings.Repeat("Once upon a time there was a fox. ", 20_000))
	list := []*net.TCPConn{s.dial(t, body), s.dial(t, body)}
	s.until(t, "both are read", time.Minute, func() bool {
		return s.metric(t, "rwkv_sequences_resident", "") == 2 && s.metric(t, "rwkv_fed_tokens_total", "") > 0
	})
	for _, conn := range list {
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("gone after %v", s.untilIdle(t))
	if fed := s.metric(t, "rwkv_fed_tokens_total", ""); fed > 200_000 {
		t.Errorf("the model was fed %v tokens", fed)
	}
	if status := s.end(t, syscall.SIGTERM); status != statusDone {
		t.Errorf("status %d: %s", status, s.log)
	}
}

// A client of HTTP/2 that ends its streams and keeps its connection frees the slots as well.
func TestServeLeavingHTTP2(t *testing.T) {
	cert, key, pool := selfSigned(t)
	s := startServing(t, "--device", "cpu", "--max-sequences", "2", "--max-tokens", "1000000", "--tls-cert", cert, "--tls-key", key)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	s.client = &http.Client{Transport: transport}
	var answers []*http.Response
	for range 5 {
		r, err := s.client.Post(s.url+"/v1/completions", "application/json", strings.NewReader(fmt.Sprintf(endless, true)))
		if err != nil {
			t.Fatal(err)
		}
		if answers = append(answers, r); r.ProtoMajor != 2 {
			t.Fatalf("want HTTP/2, got %s", r.Proto)
		}
	}
	s.until(t, "all work or wait", time.Minute, func() bool { return s.metric(t, "rwkv_requests_running", "") == 6 })
	for _, r := range answers {
		r.Body.Close()
	}
	t.Logf("gone after %v", s.untilIdle(t))
	transport.CloseIdleConnections()
	if status := s.end(t, syscall.SIGTERM); status != statusDone {
		t.Errorf("status %d: %s", status, s.log)
	}
}

// Who comes when the queue is full is told when to come again, and is served once others have left.
func TestServeOverload(t *testing.T) {
	s := startServing(t, "--device", "cpu", "--max-sequences", "1", "--queue", "2", "--max-tokens", "1000000")
	var taken []*http.Response
	for refused := 0; refused < 3; {
		r, err := http.Post(s.url+"/v1/completions", "application/json", strings.NewReader(fmt.Sprintf(endless, true)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Body.Close() }) // it may be closed
		switch {
		case r.StatusCode == http.StatusTooManyRequests:
			if seconds, err := strconv.Atoi(r.Header.Get("Retry-After")); err != nil || seconds < 1 {
				t.Errorf("Retry-After: %q", r.Header.Get("Retry-After"))
			}
			refused++
		case r.StatusCode != http.StatusOK || len(taken) > 20:
			t.Fatalf("status %d after %d requests that were taken", r.StatusCode, len(taken))
		default:
			taken = append(taken, r)
		}
	}
	if len(taken) < 3 {
		t.Errorf("only %d requests were taken", len(taken))
	}
	for _, r := range taken {
		r.Body.Close()
	}
	s.untilIdle(t)
	if got := s.post(t, "/v1/completions", `{"prompt":"Once upon a time","max_tokens":3}`); got.Choices[0].Text == "" {
		t.Error("the server does not answer any more")
	}
	if status := s.end(t, syscall.SIGTERM); status != statusDone {
		t.Errorf("status %d: %s", status, s.log)
	}
}

// Clients that leave before their request is whole leave nothing behind.
func TestServeLeavingEarly(t *testing.T) {
	s := startServing(t, "--device", "cpu", "--max-sequences", "2")
	before := s.metric(t, "process_open_fds", "")
	whole := request(fmt.Sprintf(endless, true))
	for cut := 0; cut < len(whole); cut += 1 + len(whole)/40 {
		conn := s.connect(t)
		if _, err := io.WriteString(conn, whole[:cut]); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	s.untilIdle(t)
	s.until(t, "all connections are closed", time.Minute, func() bool { return s.metric(t, "process_open_fds", "") <= before })
	if status := s.end(t, syscall.SIGTERM); status != statusDone {
		t.Errorf("status %d: %s", status, s.log)
	}
}

// connect opens a connection.
func (s *serving) connect(t *testing.T) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// dial sends a completion's request by a connection of its own.
func (s *serving) dial(t *testing.T, body string) *net.TCPConn {
	t.Helper()
	conn := s.connect(t)
	t.Cleanup(func() { _ = conn.Close() }) // it may be closed
	if _, err := io.WriteString(conn, request(body)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func request(body string) string {
	return fmt.Sprintf("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// untilIdle waits until the server works on nothing but the request for its metrics, and returns how long that took.
func (s *serving) untilIdle(t *testing.T) time.Duration {
	t.Helper()
	return s.until(t, "an idle server", leaveBound, func() bool {
		return s.metric(t, "rwkv_requests_running", "") == 1 && s.metric(t, "rwkv_sequences_resident", "") == 0 &&
			s.metric(t, "rwkv_queue_requests", "") == 0 && s.metric(t, "rwkv_sequences_parked", "") == 0
	})
}

// until waits for something to be so, and returns how long that took.
func (s *serving) until(t *testing.T, what string, most time.Duration, so func() bool) time.Duration {
	t.Helper()
	from := time.Now()
	for !so() {
		if time.Since(from) > most {
			t.Fatalf("want %s within %v", what, most)
		}
		time.Sleep(time.Millisecond) // between two looks
	}
	return time.Since(from)
}

// selfSigned writes a certificate for this computer and its key to files.
func selfSigned(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(block)
	return writeFile(t, "cert.pem", block), writeFile(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})), pool
}
