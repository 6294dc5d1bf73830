package natslink_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/spillwaymq/spillway/cmd/worker/internal/natslink"
	"github.com/spillwaymq/spillway/consumer/consumertest"
)

func options(url string) natslink.Options {
	return natslink.Options{URL: url, Shown: url, Name: "test", Logger: slog.New(slog.DiscardHandler)}
}

// certificate writes one for 127.0.0.1 that signs itself, with its key, as PEM files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})),
		write(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestTLSIsUsedWithTheFilesThatAreNamed(t *testing.T) {
	cert, key := certificate(t)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	text, _ := os.ReadFile(cert)
	pool.AppendCertsFromPEM(text)
	s := consumertest.NewServer(t, consumertest.WithListen(), consumertest.WithConfig(func(o *server.Options) {
		o.TLS, o.TLSVerify, o.TLSTimeout = true, true, 5
		o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	}))
	o := options(s.URL(t))
	if _, err := natslink.Connect(o); !errors.As(err, new(*natslink.UnreachableError)) {
		t.Errorf("without the files: %v", err)
	}
	o.CA, o.Cert, o.Key = cert, cert, key
	link, err := natslink.Connect(o)
	if err != nil {
		t.Fatal(err)
	}
	link.Close()
}

func TestFilesThatCannotBeUsedAreSaidToBe(t *testing.T) {
	cert, key := certificate(t)
	none, text := filepath.Join(t.TempDir(), "none"), write(t, "text", []byte("text"))
	for name, change := range map[string]func(o *natslink.Options){
		"no credentials":   func(o *natslink.Options) { o.Credentials = none },
		"no CA":            func(o *natslink.Options) { o.CA = none },
		"no certificate":   func(o *natslink.Options) { o.CA = text },
		"no key":           func(o *natslink.Options) { o.Cert, o.Key = cert, none },
		"the wrong way on": func(o *natslink.Options) { o.Cert, o.Key = key, cert },
	} {
		o := options("nats://127.0.0.1:1")
		change(&o)
		if _, err := natslink.Connect(o); !errors.Is(err, natslink.ErrFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDomainIsThatOfJetStream(t *testing.T) {
	s := consumertest.NewServer(t, consumertest.WithListen(), consumertest.WithConfig(func(o *server.Options) { o.JetStreamDomain = "hub" }))
	o := options(s.URL(t))
	o.Domain = "hub"
	link, err := natslink.Connect(o)
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	info, err := link.JetStream.AccountInfo(t.Context())
	if err != nil || info.Domain != "hub" {
		t.Errorf("account is %+v, %v", info, err)
	}
}

func TestEmbeddedServerKeepsItsStreams(t *testing.T) {
	dir := t.TempDir()
	for i := range 2 {
		embedded, err := natslink.StartEmbedded(dir, "nats://127.0.0.1:0", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		o := options(embedded.URL())
		o.Embedded = embedded
		link, err := natslink.Connect(o)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			_, err = link.Conn.Request("$JS.API.STREAM.CREATE.KEPT", []byte(`{"name":"KEPT","subjects":["kept"]}`), 10*time.Second)
		} else {
			_, err = link.JetStream.Stream(t.Context(), "KEPT")
		}
		if err != nil {
			t.Errorf("start %d: %v", i, err)
		}
		link.Close()
		embedded.Close()
	}
}

func TestEmbeddedServerRefusesWhatIsNoDirectory(t *testing.T) {
	if _, err := natslink.StartEmbedded(write(t, "file", nil), "nats://127.0.0.1:0", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a file is taken for a directory")
	}
}
