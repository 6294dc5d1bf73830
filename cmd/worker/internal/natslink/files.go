package natslink

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/nats-io/nats.go"
)

// CheckFiles returns what is wrong with the files that o names.
func CheckFiles(o Options) error {
	_, err := fileOptions(o)
	return err
}

// fileOptions returns the options that are made from files, which are looked at now:
// else a wrong name would look like a server that refuses.
func fileOptions(o Options) ([]nats.Option, error) {
	var options []nats.Option
	if o.Credentials != "" {
		credentials := nats.UserCredentials(o.Credentials)
		if err := tryCredentials(credentials); err != nil {
			return nil, fileError("nats.credentials", o.Credentials, err)
		}
		options = append(options, credentials)
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

// tryCredentials uses credentials as a connection would.
func tryCredentials(credentials nats.Option) error {
	var o nats.Options
	if err := credentials(&o); err != nil {
		return err
	}
	if _, err := o.UserJWT(); err != nil {
		return err
	}
	_, err := o.SignatureCB([]byte("nonce"))
	return err
}

func fileError(key, name string, err error) error {
	return fmt.Errorf("%s: %w: %s: %w", key, ErrFile, name, err)
}
