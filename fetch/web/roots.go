package web

import (
	"crypto/x509"
	"sync"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// trustFallback makes the compiled-in certificate authorities count where the
// system has none, so that a bare container can use HTTPS. Reading them takes
// some 10 ms, which only those who use HTTPS should pay; hence not the package
// that does it at the start of the program.
var trustFallback = sync.OnceFunc(func() {
	pool := x509.NewCertPool()
	for root := range bundle.Roots() {
		cert, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			continue // a root that cannot be read vouches for nothing
		}
		if root.Constraint == nil {
			pool.AddCert(cert)
		} else {
			pool.AddCertWithConstraint(cert, root.Constraint)
		}
	}
	x509.SetFallbackRoots(pool)
})
