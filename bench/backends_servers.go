package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/samebits/samebits/fetch/s3"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// A depot is a place that files can be pushed to and fetched from, with a
// server of its own.
type depot struct {
	name string
	ways []way
	push func(lock string) []string // the arguments of samebits
	env  []string                   // the logins
	wipe func() error               // empties it
	// server is nil where there is none.
	server *server
	// peer is what else puts the files of a shelf there; it may be nil.
	peer func(s *shelf) contestant
}

// A way leads from a depot to its files.
type way struct {
	name   string
	source string
	// address is where curl gets a file of an address in IPFS, and options are
	// what its configuration has besides. Where address is nil, it cannot.
	address func(e lockfile.Entry, cid string) (string, error)
	options string
	// plain is a template of URLs where the same server gives the same files to
	// whoever does not speak its protocol. It may be empty.
	plain string
}

// command makes a run of samebits with a cache and the logins of the depot.
func (d *depot) command(b *bench, cache string, args ...string) *exec.Cmd {
	cmd := exec.Command(b.samebits, args...)
	cmd.Env = append(append(os.Environ(), "SAMEBITS_CACHE="+cache), d.env...)
	return cmd
}

// depots starts all servers that are there, and tells of those that are not.
func (b *bench) depots() ([]*depot, error) {
	depots := []*depot{b.layout()}
	for _, start := range []func(*bench) (*depot, error){(*bench).dockerRegistry, (*bench).libraryRegistry, (*bench).store, (*bench).node} {
		d, err := start(b)
		var missing *missingProgram
		switch {
		case errors.As(err, &missing):
			fmt.Fprintf(b.out, "Left out: %v.\n\n", err)
		case err != nil:
			return nil, err
		default:
			depots = append(depots, d)
		}
	}
	return depots, nil
}

// missingProgram says that a program to measure with is not there.
type missingProgram struct{ name string }

func (e *missingProgram) Error() string {
	return e.name + " is neither built (make servers) nor installed"
}

// program finds a program that "make servers" built or that is installed.
func program(name string) (string, error) {
	built, err := filepath.Abs(filepath.Join("dist", "servers", name))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(built); err == nil {
		return built, nil
	}
	installed, err := exec.LookPath(name)
	if err != nil {
		return "", &missingProgram{name}
	}
	return installed, nil
}

// A server is a program that runs until the benchmark ends.
type server struct {
	cmd   *exec.Cmd
	said  bytes.Buffer // on standard error
	ended chan struct{}
}

// start runs a server, and waits until it listens. What it says is told only
// where it does not.
func (b *bench) start(cmd *exec.Cmd, address string) (*server, error) {
	s := &server{cmd: cmd, ended: make(chan struct{})}
	cmd.Stderr = &s.said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		cmd.Wait()
		close(s.ended)
	}()
	b.atEnd(s.end)
	if err := listens(address, s.ended); err != nil {
		s.end()
		return nil, fmt.Errorf("%s: %w\n%s", cmd.Path, err, tail(s.said.Bytes(), 2000))
	}
	return s, nil
}

func (s *server) end() {
	s.cmd.Process.Kill()
	<-s.ended
}

// cpu is how much time the server has had of the processors until now.
func (s *server) cpu() (time.Duration, error) { return cpuOf(fmt.Sprint(s.cmd.Process.Pid)) }

func cpuOf(pid string) (time.Duration, error) {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0, err
	}
	// The second field is a name in brackets, which may have spaces.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("%s has no times", text)
	}
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		return 0, err
	}
	return time.Duration(user+system) * 10 * time.Millisecond, nil // Linux tells it in 1/100 s
}

// listens waits until someone listens, or a server has ended.
func listens(address string, ended <-chan struct{}) error {
	err := fmt.Errorf("no server answers on %s", address)
	for range 600 {
		if conn, err := net.Dial("tcp", address); err == nil {
			return conn.Close()
		}
		select {
		case <-ended:
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
	return err
}

// freeAddress is one of the loopback where nothing listened just now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// layout is an OCI image layout, for which no server is needed.
func (b *bench) layout() *depot {
	dir := filepath.Join(b.dir, "layout")
	return &depot{
		name: "an OCI layout on the disk",
		ways: []way{{name: "an OCI layout on the disk", source: dir}},
		push: func(lock string) []string {
			return []string{"cache", "export", "--layout", "oci", "--tag", "v1", lock, dir}
		},
		wipe: func() error { return os.RemoveAll(dir) },
	}
}

// store starts a versitygw with one bucket.
func (b *bench) store() (*depot, error) {
	path, err := program("versitygw")
	if err != nil {
		return nil, err
	}
	endpoint, err := freeAddress()
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(b.dir, "store")
	bucket := filepath.Join(folder, "bucket")
	if err := os.MkdirAll(bucket, 0o755); err != nil {
		return nil, err
	}
	cmd := exec.Command(path, "--quiet", "--port", endpoint, "posix", folder)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY=benchkey", "ROOT_SECRET_KEY=benchsecret")
	running, err := b.start(cmd, endpoint)
	if err != nil {
		return nil, err
	}
	address := "s3+http://bucket?endpoint=" + endpoint
	signer, err := s3.Open(web.NewClient(web.Config{}), s3.Config{
		Bucket: "bucket", Endpoint: endpoint, PlainHTTP: true, Login: &s3.Login{AccessKey: "benchkey", SecretKey: "benchsecret"},
	})
	if err != nil {
		return nil, err
	}
	return &depot{
		name: "versitygw (S3)", server: running,
		ways: []way{{name: "versitygw (S3)", source: address, address: func(e lockfile.Entry, _ string) (string, error) {
			u, err := signer.Presign(context.Background(), e.Digest, time.Hour)
			if err != nil {
				return "", err
			}
			return u.String(), nil
		}}},
		push: func(lock string) []string { return []string{"cache", "push", address + "&lock=v1", lock} },
		env:  []string{"AWS_ACCESS_KEY_ID=benchkey", "AWS_SECRET_ACCESS_KEY=benchsecret"},
		// The bucket itself stays, since it has the server's notes on it.
		wipe: func() error {
			return errors.Join(os.RemoveAll(filepath.Join(bucket, "blobs")), os.RemoveAll(filepath.Join(bucket, "locks")))
		},
	}, nil
}

// node starts a kubo that speaks to nobody else.
func (b *bench) node() (*depot, error) {
	path, err := program("ipfs")
	if err != nil {
		return nil, err
	}
	repo := filepath.Join(b.dir, "ipfs")
	ipfs := func(args ...string) *exec.Cmd {
		cmd := exec.Command(path, args...)
		cmd.Env = append(os.Environ(), "IPFS_PATH="+repo)
		return cmd
	}
	api, err := freeAddress()
	if err != nil {
		return nil, err
	}
	gateway, err := freeAddress()
	if err != nil {
		return nil, err
	}
	multi := func(address string) string { return "/ip4/" + strings.Replace(address, ":", "/tcp/", 1) }
	addresses := fmt.Sprintf(`{"API":%q,"Gateway":%q,"Swarm":[]}`, multi(api), multi(gateway))
	for _, args := range [][]string{{"init", "--empty-repo", "--profile=test"}, {"config", "--json", "Addresses", addresses}} {
		if out, err := ipfs(args...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ipfs %s: %w\n%s", args[0], err, out)
		}
	}
	running, err := b.start(ipfs("daemon", "--offline"), api)
	if err != nil {
		return nil, err
	}
	return &depot{
		name: "kubo (IPFS)", server: running,
		ways: []way{
			{name: "kubo's API", source: "ipfs://" + api, options: "request = \"POST\"\n", address: func(_ lockfile.Entry, cid string) (string, error) {
				return "http://" + api + "/api/v0/cat?arg=" + cid, nil
			}},
			{name: "kubo's gateway", source: "ipfs+gateway://" + gateway, address: func(_ lockfile.Entry, cid string) (string, error) {
				return "http://" + gateway + "/ipfs/" + cid, nil
			}},
		},
		push: func(lock string) []string { return []string{"cache", "push", "--write", "ipfs://" + api, lock} },
		wipe: func() error {
			pinned, err := ipfs("pin", "ls", "--type=recursive", "--quiet").Output()
			if err != nil {
				return fmt.Errorf("ipfs pin ls: %w", err)
			}
			if cids := strings.Fields(string(pinned)); len(cids) > 0 {
				if out, err := ipfs(append([]string{"pin", "rm"}, cids...)...).CombinedOutput(); err != nil {
					return fmt.Errorf("ipfs pin rm: %w\n%s", err, out)
				}
			}
			return ipfs("repo", "gc", "--quiet").Run()
		},
		peer: func(s *shelf) contestant {
			return contestant{name: "`ipfs add`", command: func() *exec.Cmd {
				return ipfs("add", "--quiet", "--recursive", "--cid-version=1", "--raw-leaves", filepath.Join(s.dir, "pool"))
			}}
		},
	}, listens(gateway, running.ended)
}
