package cluster

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// Options say which cluster a replica joins, and as what.
type Options struct {
	URL   string // of NATS servers, separated by commas: nats://HOST[:PORT], tls://…, ws://… or wss://…
	Name  string // of the cluster; those of other names on the same servers are others
	Group string // of replicas that may take over each other's work: letters and digits
	Host  string // what people call the replica; "" is the machine's name

	CA, Cert, Key string // files (PEM) for TLS: authorities to trust besides the system's; the replica's certificate with its key
	Creds         string // file of credentials, as nsc writes it
	Token         string // that the servers ask for; "" for none

	Silence time.Duration // after which a call is lost, and half of it before the worker's first word; 0 is DefaultSilence
	Log     *slog.Logger  // nil for no log
	// Server connects to a server in the process in place of URL; nil for none.
	Server nats.InProcessConnProvider
}

// DefaultSilence is what Options means by 0.
const DefaultSilence = 1500 * time.Millisecond

// An OptionError is a mistake in a field of Options.
type OptionError struct {
	Field string
	Err   error
}

func (e *OptionError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *OptionError) Unwrap() error { return e.Err }

// CheckURL returns what is wrong with the value of Options.URL. No error has a password of it.
func CheckURL(list string) error {
	for _, one := range strings.Split(list, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		switch {
		case err != nil:
			return errors.New("want URLs such as nats://host:4222, separated by commas, got something else")
		case u.Scheme != "nats" && u.Scheme != "tls" && u.Scheme != "ws" && u.Scheme != "wss":
			return fmt.Errorf("want a URL that begins with nats://, tls://, ws:// or wss://, got the scheme %q", u.Scheme)
		case u.Hostname() == "":
			return fmt.Errorf("want a host, such as in nats://host:4222, got none in %q", u.Redacted())
		case u.Path != "" && u.Path != "/":
			return fmt.Errorf("want a URL without a path, got %q", u.Redacted())
		}
	}
	return nil
}

// check returns what is wrong with the options, and fills in what stands for others.
func (o *Options) check() error {
	if o.Server == nil {
		if err := CheckURL(o.URL); err != nil {
			return &OptionError{"url", err}
		}
	}
	for _, one := range [][2]string{{"name", o.Name}, {"group", o.Group}} {
		if one[1] == "" || strings.Trim(one[1], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
			return &OptionError{one[0], fmt.Errorf("want letters, digits, _ and -, got %q", one[1])}
		}
	}
	if (o.Cert == "") != (o.Key == "") {
		return &OptionError{"cert", errors.New("want a certificate and its key, got one of them")}
	}
	if err := o.checkFiles(); err != nil {
		return err
	}
	if o.Host == "" {
		name, _ := os.Hostname() // a machine without a name has replicas too
		o.Host = cmp.Or(name, "replica")
	}
	if o.Silence <= 0 {
		o.Silence = DefaultSilence
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// checkFiles returns what is wrong with the files of the options.
func (o *Options) checkFiles() error {
	if o.Creds != "" {
		text, err := os.ReadFile(o.Creds)
		if err == nil {
			_, err = nkeys.ParseDecoratedJWT(text)
		}
		if err == nil {
			_, err = nkeys.ParseDecoratedUserNKey(text)
		}
		if err != nil {
			return &OptionError{"creds", err}
		}
	}
	if o.CA != "" {
		text, err := os.ReadFile(o.CA)
		if err == nil && !x509.NewCertPool().AppendCertsFromPEM(text) {
			err = fmt.Errorf("%s: want a certificate (PEM), got none", o.CA)
		}
		if err != nil {
			return &OptionError{"ca", err}
		}
	}
	if o.Cert != "" {
		if _, err := tls.LoadX509KeyPair(o.Cert, o.Key); err != nil {
			return &OptionError{"cert", err}
		}
	}
	return nil
}

// connection returns what nats.Connect is told.
func (o *Options) connection() []nats.Option {
	list := []nats.Option{nats.Name("rwkv-gpu " + o.Host), nats.MaxReconnects(-1), nats.ReconnectWait(200 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond), nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2),
		nats.Timeout(2 * time.Second), nats.IgnoreAuthErrorAbort()}
	if o.Server != nil {
		list = append(list, nats.InProcessServer(o.Server))
	}
	if o.CA != "" {
		list = append(list, nats.RootCAs(o.CA))
	}
	if o.Cert != "" {
		list = append(list, nats.ClientCert(o.Cert, o.Key))
	}
	if o.Token != "" {
		list = append(list, nats.Token(o.Token))
	}
	if o.Creds != "" {
		list = append(list, nats.UserCredentials(o.Creds))
	}
	return list
}

// fatal reports whether trying again does not help against an error of connecting.
func fatal(err error) bool {
	text := err.Error()
	for _, known := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired,
		nats.ErrSecureConnRequired, nats.ErrSecureConnWanted} {
		if errors.Is(err, known) {
			return true
		}
	}
	return strings.Contains(text, "x509:") || strings.Contains(text, "tls:") || strings.Contains(text, "nkeys:") ||
		strings.Contains(strings.ToLower(text), "authorization violation")
}
