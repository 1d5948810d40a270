package web

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/samebits/samebits/fetch"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// A certificate that nobody vouches for is refused for good.
func TestUnknownAuthority(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	s, err := New(NewClient(Config{}), Place{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Open(context.Background(), fetch.Request{})
	if !errors.As(err, new(x509.UnknownAuthorityError)) || !fetch.IsPermanent(err) {
		t.Errorf("error %v, want a permanent one of an unknown authority", err)
	}
}

// Where the system has no certificate authorities, those compiled in count. A
// process decides that once, so the test runs itself again without any.
func TestFallbackRoots(t *testing.T) {
	const mark = "SAMEBITS_TEST_NO_ROOTS"
	if os.Getenv(mark) == "" {
		none := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run=^TestFallbackRoots$")
		cmd.Env = append(os.Environ(), mark+"=1", "SSL_CERT_FILE="+none+"/none", "SSL_CERT_DIR="+none)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	var root *x509.Certificate
	for r := range bundle.Roots() {
		if r.Constraint == nil {
			root, _ = x509.ParseCertificate(r.Certificate)
			break
		}
	}
	opts := x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, CurrentTime: root.NotBefore.AddDate(0, 0, 1)}
	_, before := root.Verify(opts)
	trustFallback()
	_, after := root.Verify(opts)
	if before == nil || after != nil {
		t.Errorf("a compiled-in root verifies with error %v before and %v after", before, after)
	}
}
