package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/deb"
	"github.com/samebits/samebits/imagebuild/sandbox"
	"github.com/samebits/samebits/imagebuild/target"
)

// minimalDebs are the packages of a Debian with apt, from the archive that this
// machine's apt knows.
var minimalDebs = sync.OnceValues(func() ([][]byte, error) {
	dir, err := os.MkdirTemp("", "samebits-test-debs-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.MkdirAll(filepath.Join(dir, "archives", "partial"), 0o755); err != nil {
		return nil, err
	}
	out, err := exec.Command("apt-get", "-q", "-y", "--no-install-recommends", "--download-only",
		"-o", "Dir::State::status=/dev/null", "-o", "Dir::State::extended_states=/dev/null", "-o", "Dir::Cache="+dir, "-o", "APT::Sandbox::User=root",
		"install", "?essential", "apt", "hello").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	names, err := filepath.Glob(filepath.Join(dir, "archives", "*.deb"))
	if err != nil {
		return nil, err
	}
	var debs [][]byte
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		debs = append(debs, data)
	}
	return debs, nil
})

// realDebs are minimalDebs without the package hello, which comes by itself.
func realDebs(t *testing.T) (debs [][]byte, hello []byte) {
	t.Helper()
	needTools(t, "apt-get", "dpkg-deb")
	all, err := minimalDebs()
	if err != nil {
		t.Skipf("the packages cannot be had (does this machine's apt have lists?): %v", err)
	}
	for _, d := range all {
		if isHello(d) {
			hello = d
		} else {
			debs = append(debs, d)
		}
	}
	if len(debs) < 50 || hello == nil {
		t.Fatalf("%d packages, hello of %d bytes", len(debs), len(hello))
	}
	return debs, hello
}

func isHello(data []byte) bool {
	a, err := deb.Open(bytes.NewReader(data), int64(len(data)))
	return err == nil && a.Package == "hello"
}

// assembleReal makes a root of packages in the real sandbox, or of files alone.
func assembleReal(t *testing.T, scripts bool, limits sandbox.Limits, debs ...[]byte) (*target.Dir, func(args ...string) (string, error), error) {
	t.Helper()
	lock, blobs := madeLock(t, debs...)
	dir := t.TempDir()
	if _, err := os.Stat("/dev/shm"); err == nil { // dpkg waits for disks often
		if dir, err = os.MkdirTemp("/dev/shm", "samebits-test-"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
	}
	root, err := target.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	var out bytes.Buffer
	step := func(ctx context.Context, s distro.Step) error {
		err := sandbox.Run(ctx, sandbox.Command{
			Root: root.Path(), Args: s.Args, Env: append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}, s.Env...),
			Hostname: "localhost", Stdin: s.Stdin, Output: &out, Limits: limits,
		})
		if err != nil && strings.Contains(err.Error(), "forbids") {
			t.Skip(err)
		}
		return err
	}
	a := distro.Assembly{Lock: lock, Blobs: blobs, Root: root, Epoch: lock.Date, Parallel: 2}
	if scripts {
		a.Run = step
	}
	inside := func(args ...string) (string, error) {
		out.Reset()
		err := step(context.Background(), distro.Step{Args: args, Env: quiet})
		return out.String(), err
	}
	err = (Distro{}).Assemble(t.Context(), a)
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, out.String())
	}
	return root, inside, err
}

// TestAssembleReal has the root's own dpkg and apt judge it and work in it.
func TestAssembleReal(t *testing.T) {
	debs, hello := realDebs(t)
	for _, scripts := range []bool{true, false} {
		t.Run(fmt.Sprintf("scripts %v", scripts), func(t *testing.T) {
			root, inside, err := assembleReal(t, scripts, sandbox.Limits{}, debs...)
			if err != nil {
				t.Fatal(err)
			}
			for _, verb := range []string{"--audit", "--verify"} {
				if out, err := inside("/usr/bin/dpkg", verb); err != nil || out != "" {
					t.Errorf("dpkg %s: %v\n%s", verb, err, out)
				}
			}
			if out, err := inside("/usr/bin/dpkg-query", "-W", "-f", "${db:Status-Abbrev}"); err != nil || strings.Count(out, "ii ") != len(debs) || strings.Trim(out, "i ") != "" {
				t.Errorf("dpkg knows %q of %d packages, %v", out, len(debs), err)
			}
			for _, gone := range []string{policyFile, "var/lib/dpkg/tmp.ci", "var/lib/dpkg/reassemble"} {
				if _, err := root.Stat(gone); err == nil {
					t.Errorf("/%s was left", gone)
				}
			}
			if !scripts {
				return // without its scripts a root cannot install more
			}
			if err := os.WriteFile(filepath.Join(root.Path(), "hello.deb"), hello, 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := inside("/usr/bin/apt-get", "-y", "-o", "APT::Sandbox::User=root", "install", "/hello.deb"); err != nil {
				t.Errorf("apt-get install: %v\n%s", err, out)
			}
			if out, err := inside("/usr/bin/hello"); err != nil || !strings.Contains(out, "Hello") {
				t.Errorf("hello: %v\n%s", err, out)
			}
		})
	}
}

// stored is a package whose files are not compressed, for tests that unpack it
// again and again.
func stored(t *testing.T, data []byte) []byte {
	t.Helper()
	a, err := deb.Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := a.Data()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	files, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	const magic, header = 8, 60
	out := bytes.NewBuffer(slices.Clone(data[:magic]))
	for at := magic; at < len(data); {
		head := data[at : at+header]
		size, err := strconv.Atoi(strings.TrimSpace(string(head[48:58])))
		if err != nil {
			t.Fatal(err)
		}
		member := data[at+header : at+header+size]
		if bytes.HasPrefix(head, []byte("data.tar")) {
			head, member = fmt.Appendf(nil, "%-16s%s%-10d`\n", "data.tar", head[16:48], len(files)), files
		}
		out.Write(head)
		out.Write(member)
		if len(member)%2 == 1 {
			out.WriteByte('\n')
		}
		at += header + size + size%2
	}
	return out.Bytes()
}

// TestAssembleHostileScripts lets scripts do their worst.
func TestAssembleHostileScripts(t *testing.T) {
	real, _ := realDebs(t)
	var debs [][]byte
	for _, d := range real {
		debs = append(debs, stored(t, d))
	}
	secret := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(secret, []byte("untouched"), 0o666); err != nil {
		t.Fatal(err)
	}
	limits := sandbox.Limits{Time: time.Minute, Processes: 200, Bytes: 512 << 20}
	for name, c := range map[string]struct {
		script string
		limit  bool // a LimitError, or else an ExitError that names the package
	}{
		"fails":        {"echo this is why; exit 7", false},
		"forks":        {"f() { f | f & }; f; sleep 60", true},
		"fills":        {"cat /dev/zero >/var/fill", true},
		"kills":        {"kill -9 $PPID; sleep 1; exit 1", false},
		"kills all":    {"kill -9 -1", false},
		"network":      {"exec 3<>/dev/tcp/1.1.1.1/80", false},
		"host's files": {"echo evil >" + secret, false},
		"mounts":       {"mount -t tmpfs x /mnt", false},
		"devices":      {"mknod /dev/sda b 8 0", false},
		"time":         {"date -s 2001-01-01", false},
		"namespaces":   {"unshare -Ur true", false},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			evil := made{control: "Package: evil", files: map[string]string{"postinst": "#!/bin/bash\nset -e\n" + c.script + "\n"}}
			_, _, err := assembleReal(t, true, limits, append(slices.Clone(debs), evil.deb())...)
			var exit *sandbox.ExitError
			var limit *sandbox.LimitError
			switch {
			case err == nil:
				t.Fatal("nothing went wrong")
			case c.limit && !errors.As(err, &limit):
				t.Errorf("no limit held: %v", err)
			case !c.limit && !errors.As(err, &exit):
				t.Errorf("it is not said that the script failed: %v", err)
			case name == "fails" && (!strings.Contains(err.Error(), "evil") || !strings.Contains(err.Error(), "this is why")):
				t.Errorf("nothing tells which package failed: %v", err)
			}
			if data, err := os.ReadFile(secret); err != nil || string(data) != "untouched" {
				t.Errorf("a file of the host is %q, %v", data, err)
			}
		})
	}
}
