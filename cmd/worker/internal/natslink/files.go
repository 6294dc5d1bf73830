package natslink

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
)

// fileOptions returns the options that are made from files, which are looked at now:
// else a wrong name would look like a server that refuses.
func fileOptions(o Options) ([]nats.Option, error) {
	var options []nats.Option
	if o.Credentials != "" {
		if err := readable("nats.credentials", o.Credentials); err != nil {
			return nil, err
		}
		options = append(options, nats.UserCredentials(o.Credentials))
	}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fileError("nats.tls.ca", o.CA, err)
		}
		if !x509.NewCertPool().AppendCertsFromPEM(pem) {
			return nil, fileError("nats.tls.ca", o.CA, fmt.Errorf("no certificate in it"))
		}
		options = append(options, nats.RootCAs(o.CA))
	}
	if o.Cert != "" {
		if _, err := tls.LoadX509KeyPair(o.Cert, o.Key); err != nil {
			return nil, fileError("nats.tls", o.Cert+" and "+o.Key, err)
		}
		options = append(options, nats.ClientCert(o.Cert, o.Key))
	}
	return options, nil
}

func readable(key, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fileError(key, name, err)
	}
	return f.Close()
}

func fileError(key, name string, err error) error {
	return fmt.Errorf("%s: %w: %s: %w", key, ErrFile, name, err)
}
