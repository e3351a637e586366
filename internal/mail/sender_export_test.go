package mail

import (
	"crypto/x509"
	"time"
)

// Trust makes the sender believe an authority of a test.
func (s *Sender) Trust(authority *x509.Certificate) {
	s.roots = x509.NewCertPool()
	s.roots.AddCert(authority)
}

// Limit shortens the time for an exchange.
func (s *Sender) Limit(limit time.Duration) { s.limit = limit }

// MaxMailto is how long a mailto link may be.
const MaxMailto = maxMailto
