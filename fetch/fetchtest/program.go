package fetchtest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Program returns the path of a server to test against: the one that "make
// servers" built, else one that is installed. Without it the test is skipped.
func Program(tb testing.TB, name string) string {
	tb.Helper()
	folder, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for ; ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			break
		}
		if folder == filepath.Dir(folder) {
			tb.Fatal("no go.mod above the working directory")
		}
	}
	built := filepath.Join(folder, "dist", "servers", name)
	if _, err := os.Stat(built); err == nil {
		return built
	}
	installed, err := exec.LookPath(name)
	if err != nil {
		tb.Skipf("%s is neither built (make servers) nor installed", name)
	}
	return installed
}

// Start runs a server until the test ends, and returns when ready does no
// longer return an error. What the server printed is told when it fails.
func Start(tb testing.TB, cmd *exec.Cmd, ready func() error) {
	tb.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	err := errors.New("not asked yet")
	for range 600 { // a minute
		if err = ready(); err == nil {
			return
		}
		select {
		case early := <-ended:
			ended <- early
			tb.Fatalf("%s ended: %v\n%s", cmd.Path, early, out.String())
		case <-time.After(100 * time.Millisecond):
		}
	}
	_ = cmd.Process.Kill()
	early := <-ended
	ended <- early
	tb.Fatalf("%s is not ready: %v\n%s", cmd.Path, err, out.String())
}

// FreeAddress returns an address on the loopback interface, HOST:PORT, where
// nothing listened just now.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Listens returns what [Start] waits for: that a connection can be made.
func Listens(address string) func() error {
	return func() error {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return fmt.Errorf("%s: %w", address, err)
		}
		return c.Close()
	}
}
