package config

import "regexp"

// mask is shown in place of a secret.
const mask = "***"

// Secret is a string that is not shown.
type Secret string

// MarshalYAML hides s.
func (s Secret) MarshalYAML() (any, error) {
	if s == "" {
		return "", nil
	}
	return mask, nil
}

// URL is an address, or a list of them with commas, that may hold a password.
type URL string

// userinfo is what stands before the host of a URL; NATS takes URLs without a scheme.
var userinfo = regexp.MustCompile(`(^|,|//)[^/?#,]*@`)

// String returns u without its user and password.
func (u URL) String() string { return userinfo.ReplaceAllString(string(u), "${1}"+mask+"@") }

// MarshalYAML hides the user and password of u.
func (u URL) MarshalYAML() (any, error) { return u.String(), nil }
