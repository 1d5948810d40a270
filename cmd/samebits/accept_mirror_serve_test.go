package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A serveRun is "samebits mirror serve" with a configuration that a test may
// change, and a log that it may read.
type serveRun struct {
	t                *testing.T
	url, config, log string
	cmd              *exec.Cmd
}

// startServe runs a mirror of one archive. more is more of its configuration.
func startServe(t *testing.T, archive, more string) *serveRun {
	t.Helper()
	dir := t.TempDir()
	m := &serveRun{t: t, config: dir + "/mirror.yaml", log: dir + "/log"}
	write(t, m.config, "listen: ['127.0.0.1:0']\nstate: "+dir+"/state\ncache: "+dir+"/cache\nsystem-upstreams: false\n"+more+
		"upstreams:\n  - {prefix: tiny, format: debian, urls: ['"+archive+"'], unsigned: true}\n")
	log, err := os.Create(m.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	m.cmd = exec.Command(builtBinary(t), "mirror", "serve", "--config", m.config)
	m.cmd.Env, m.cmd.Stderr = clean(), log
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = m.cmd.Process.Signal(syscall.SIGTERM)
		_ = m.cmd.Wait()
	})
	m.waitLog("the mirror listens on ", 1)
	_, rest, _ := strings.Cut(m.said(), "the mirror listens on ")
	m.url, _, _ = strings.Cut(rest, "\n")
	return m
}

func (m *serveRun) said() string {
	m.t.Helper()
	text, err := os.ReadFile(m.log)
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

// waitLog waits until the mirror has said something so many times.
func (m *serveRun) waitLog(text string, times int) {
	m.t.Helper()
	for range 600 {
		if strings.Count(m.said(), text) >= times {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	m.t.Fatalf("the mirror did not say %q %d times:\n%s", text, times, m.said())
}

// The configuration is read again and again under load. No connection breaks,
// no answer is wrong, a client that takes its time gets the rest of its file,
// and what is new in the configuration holds.
func TestAcceptMirrorReload(t *testing.T) {
	needs(t, false)
	small, large := bytes.Repeat([]byte("s"), 3000), bytes.Repeat([]byte("large "), 4<<20)
	upstream := newUpstreamServer(t, tinyArchive(map[string][]byte{"small": small, "large": large}))
	m := startServe(t, upstream.URL, "")
	paths := map[string][]byte{"dists/x/Release": upstream.files["dists/x/Release"], "pool/small_1_all.deb": small, "pool/large_1_all.deb": large}
	for path := range paths {
		if err := sameBody(http.DefaultClient, m.url+"/tiny/"+path, paths[path]); err != nil {
			t.Fatal(err)
		}
	}
	slow, err := http.Get(m.url + "/tiny/pool/large_1_all.deb")
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Body.Close()
	var dials, asked atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				dials.Add(1)
				return (&net.Dialer{}).DialContext(ctx, network, address)
			}}}
			for {
				for path, want := range paths {
					if err := sameBody(c, m.url+"/tiny/"+path, want); err != nil {
						t.Error(err)
					}
					asked.Add(1)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	config, err := os.ReadFile(m.config)
	if err != nil {
		t.Fatal(err)
	}
	const times = 3
	for i := range times {
		write(t, m.config, string(config)+fmt.Sprintf("  - {prefix: more-%d, format: debian, urls: ['%s'], unsigned: true}\n", i, upstream.URL))
		before := asked.Load()
		if err := m.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		m.waitLog("the configuration was read again", i+1)
		if err := sameBody(http.DefaultClient, fmt.Sprintf("%s/more-%d/pool/small_1_all.deb", m.url, i), small); err != nil {
			t.Error(err)
		}
		for asked.Load() < before+8 { // all go on
			time.Sleep(time.Millisecond)
		}
	}
	close(stop)
	clients.Wait()
	if n := dials.Load(); n != 4 {
		t.Errorf("4 clients made %d connections", n)
	}
	if rest, err := io.ReadAll(slow.Body); err != nil || !bytes.Equal(rest, large) {
		t.Errorf("the slow client got %d of %d bytes, %v", len(rest), len(large), err)
	}
}

func sameBody(c *http.Client, url string, want []byte) error {
	resp, err := c.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || !bytes.Equal(got, want) {
		return fmt.Errorf("%s: %s with %d bytes, %v", url, resp.Status, len(got), err)
	}
	return nil
}

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "mirror.example"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}

// The real curl and apt speak TLS with the mirror, and see a certificate that
// was replaced while it ran.
func TestAcceptMirrorTLS(t *testing.T) {
	needs(t, true, "curl", "apt-get")
	deb := []byte("a package")
	upstream := newUpstreamServer(t, tinyArchive(map[string][]byte{"small": deb}))
	dir := t.TempDir()
	cert, key, old := dir+"/cert.pem", dir+"/key.pem", dir+"/old.pem"
	selfSigned(t, cert, key)
	first, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	write(t, old, string(first))
	m := startServe(t, upstream.URL, "tls: {certificate: "+cert+", key: "+key+"}\n")
	if !strings.HasPrefix(m.url, "https://") {
		t.Fatal(m.url)
	}
	curl := func(ca, path string) (string, error) { return said("curl", "-sSf", "--cacert", ca, m.url+path) }
	if out, err := curl(cert, "/tiny/pool/small_1_all.deb"); out != string(deb) {
		t.Errorf("curl: %q, %v", out, err)
	}
	if out, err := said("curl", "-sSf", m.url+"/healthz"); err == nil {
		t.Errorf("a certificate that nobody knows was taken: %s", out)
	}
	aptOverTLS(t, m.url, cert)
	selfSigned(t, cert, key)
	for i := 0; ; i++ { // it looks at the files once a second
		if _, err = curl(cert, "/healthz"); err == nil || i == 100 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err != nil {
		t.Fatalf("the new certificate is not used: %v", err)
	}
	if out, err := curl(old, "/healthz"); err == nil {
		t.Errorf("the old certificate is still used: %s", out)
	}
	aptOverTLS(t, m.url, cert)
	// A key that does not belong to the certificate changes nothing.
	selfSigned(t, dir+"/other.pem", key)
	time.Sleep(1100 * time.Millisecond)
	if _, err := curl(cert, "/healthz"); err != nil {
		t.Error(err)
	}
}

// said runs a program and returns all that it says.
func said(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = clean("LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// aptOverTLS updates and downloads in a root of its own.
func aptOverTLS(t *testing.T, url, ca string) {
	t.Helper()
	root := t.TempDir()
	for _, d := range []string{"etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d", "etc/apt/sources.list.d", "var/lib/apt/lists/partial", "var/lib/dpkg", "var/cache/apt/archives/partial"} {
		if err := os.MkdirAll(root+"/"+d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, root+"/var/lib/dpkg/status", "")
	write(t, root+"/etc/apt/sources.list", "deb [trusted=yes arch=amd64] "+url+"/tiny x main\n")
	options := []string{"-q", "-y", "-o", "Dir=" + root, "-o", "Dir::State::status=" + root + "/var/lib/dpkg/status", "-o", "Dir::Etc::parts=" + root + "/etc/apt/apt.conf.d",
		"-o", "APT::Architecture=amd64", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none", "-o", "Acquire::https::CaInfo=" + ca, "-o", "Debug::NoLocking=1", "-o", "Acquire::Check-Valid-Until=false"}
	for _, args := range [][]string{{"update"}, {"install", "--download-only", "small"}} {
		if out, err := said("apt-get", append(append([]string{}, options...), args...)...); err != nil || strings.Contains(out, "\nErr:") {
			t.Fatalf("apt-get %s: %v\n%s", args[0], err, out)
		}
	}
	if _, err := os.Stat(root + "/var/cache/apt/archives/small_1_all.deb"); err != nil {
		t.Error(err)
	}
}
