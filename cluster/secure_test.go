package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// authority makes certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir(), next: 1}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := a.template("authority")
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.key = key
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) template(name string) *x509.Certificate {
	a.next++
	return &x509.Certificate{SerialNumber: big.NewInt(a.next), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
}

// file returns the path of a file of the authority.
func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) write(name, kind string, data []byte) {
	a.t.Helper()
	if err := os.WriteFile(a.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// issue makes NAME.pem and NAME.key.
func (a *authority) issue(name string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, a.template(name), a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".pem", "CERTIFICATE", der)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".key", "PRIVATE KEY", private)
}

// serveNATS starts a server of any options.
func serveNATS(t *testing.T, o *server.Options) string {
	t.Helper()
	o.Host, o.Port, o.NoLog, o.NoSigs = "127.0.0.1", server.RANDOM_PORT, true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server does not start")
	}
	return s.Addr().String()
}

// tries joins with some options, and wants an error with a text, or none for "".
func tries(t *testing.T, name string, o Options, want string) {
	t.Helper()
	o.Name, o.Group = "test", "g"
	n, err := Join(o)
	if err == nil {
		if !n.Connected() {
			t.Errorf("%s: no server is reached", name)
		}
		_ = n.Close()
	}
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got %v, want %q", name, err, want)
	}
}

// refused joins where a server closes the connection, and may or may not have said why before.
func refused(t *testing.T, name string, o Options) {
	t.Helper()
	o.Name, o.Group = "test", "g"
	n, err := Join(o)
	if err != nil {
		if !strings.Contains(err.Error(), "do not let this replica in") {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	if n.Connected() {
		t.Errorf("%s: a server let it in", name)
	}
	_ = n.Close()
}

// With TLS both sides prove who they are. Whoever does not is not let in, and is told why.
func TestTLS(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	a.issue("server")
	a.issue("replica")
	other.issue("replica")
	pair, err := tls.LoadX509KeyPair(a.file("server.pem"), a.file("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	url := "tls://" + serveNATS(t, &server.Options{TLS: true, TLSVerify: true, TLSTimeout: 5,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}})
	good := Options{URL: url, CA: a.file("ca.pem"), Cert: a.file("replica.pem"), Key: a.file("replica.key")}
	tries(t, "all in order", good, "")
	o := good
	o.CA = ""
	tries(t, "an authority that is not known", o, "do not let this replica in")
	o = good
	o.CA = other.file("ca.pem")
	tries(t, "another authority", o, "do not let this replica in")
	o = good
	o.Cert, o.Key = other.file("replica.pem"), other.file("replica.key")
	refused(t, "the certificate of another", o)
	o = good
	o.Cert, o.Key = "", ""
	refused(t, "no certificate", o)
	o = good
	o.Key = other.file("replica.key")
	tries(t, "the key of another", o, "cert: ")
	o = good
	o.CA = a.file("replica.key")
	tries(t, "a file without an authority", o, "ca: ")
}

// Credentials let a replica in that the servers' operator has made them for.
func TestCreds(t *testing.T) {
	must := func(kp nkeys.KeyPair, err error) (nkeys.KeyPair, string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		public, err := kp.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		return kp, public
	}
	dir := t.TempDir()
	// creds makes credentials of a user of an account of an operator.
	creds := func(name string, operator nkeys.KeyPair) (file, account, accountJWT string) {
		t.Helper()
		ak, account := must(nkeys.CreateAccount())
		claims := jwt.NewAccountClaims(account)
		accountJWT, err := claims.Encode(operator)
		if err != nil {
			t.Fatal(err)
		}
		uk, user := must(nkeys.CreateUser())
		userJWT, err := jwt.NewUserClaims(user).Encode(ak)
		if err != nil {
			t.Fatal(err)
		}
		seed, err := uk.Seed()
		if err != nil {
			t.Fatal(err)
		}
		text, err := jwt.FormatUserConfig(userJWT, seed)
		if err != nil {
			t.Fatal(err)
		}
		file = filepath.Join(dir, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return file, account, accountJWT
	}
	operator, public := must(nkeys.CreateOperator())
	right, account, accountJWT := creds("right.creds", operator)
	wrong, _, _ := creds("wrong.creds", operator) // of an account that the server does not know
	resolver := &server.MemAccResolver{}
	if err := resolver.Store(account, accountJWT); err != nil {
		t.Fatal(err)
	}
	url := "nats://" + serveNATS(t, &server.Options{TrustedKeys: []string{public}, AccountResolver: resolver})
	tries(t, "the right ones", Options{URL: url, Creds: right}, "")
	tries(t, "those of a stranger", Options{URL: url, Creds: wrong}, "do not let this replica in")
	tries(t, "none", Options{URL: url}, "do not let this replica in")
	empty := filepath.Join(dir, "empty.creds")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	tries(t, "a file without any", Options{URL: url, Creds: empty}, "creds: ")
}
