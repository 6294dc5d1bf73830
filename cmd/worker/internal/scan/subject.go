package scan

import "strings"

// Matches reports whether a filter takes a subject.
func Matches(filter, subject string) bool {
	for {
		f, moreFilter, hasFilter := strings.Cut(filter, ".")
		s, moreSubject, hasSubject := strings.Cut(subject, ".")
		switch {
		case f == ">":
			return true
		case f != "*" && f != s, hasFilter != hasSubject:
			return false
		case !hasFilter:
			return true
		}
		filter, subject = moreFilter, moreSubject
	}
}

// IsLiteral reports whether a subject is one, that messages can be published to.
func IsLiteral(subject string) bool {
	for token := range strings.SplitSeq(subject, ".") {
		if token == "" || strings.ContainsAny(token, "*> \t\r\n\f\x00") {
			return false
		}
	}
	return true
}
