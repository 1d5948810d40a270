package fetchtest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// StartKubo starts a node of IPFS that speaks to nobody else and ends with the
// test, and returns HOST:PORT of its API and of its gateway. It skips the test
// where kubo is not there.
func StartKubo(tb testing.TB) (api, gateway string) {
	tb.Helper()
	program := Program(tb, "ipfs")
	repo := tb.TempDir()
	ipfs := func(args ...string) *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "IPFS_PATH="+repo)
		return cmd
	}
	for _, args := range [][]string{
		{"init", "--empty-repo", "--profile=test"},
		{"config", "--json", "Addresses", `{"API":"/ip4/127.0.0.1/tcp/0","Gateway":"/ip4/127.0.0.1/tcp/0","Swarm":[]}`},
	} {
		if out, err := ipfs(args...).CombinedOutput(); err != nil {
			tb.Fatalf("ipfs %v: %v\n%s", args, err, out)
		}
	}
	Start(tb, ipfs("daemon", "--offline"), func() error {
		// Kubo writes where it listens: the API as a multiaddress, the gateway
		// as a URL.
		address, err1 := os.ReadFile(filepath.Join(repo, "api"))
		url, err2 := os.ReadFile(filepath.Join(repo, "gateway"))
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		parts := strings.Split(strings.TrimSpace(string(address)), "/")
		if len(parts) != 5 {
			return fmt.Errorf("the API is at %q", address)
		}
		api = net.JoinHostPort(parts[2], parts[4])
		gateway = strings.TrimPrefix(strings.TrimSpace(string(url)), "http://")
		return errors.Join(Listens(api)(), Listens(gateway)())
	})
	return api, gateway
}
