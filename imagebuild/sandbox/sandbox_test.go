package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	Init()
	os.Exit(m.Run())
}

// newRoot makes a root with busybox and its applets' names.
func newRoot(t *testing.T) string {
	t.Helper()
	box, err := exec.LookPath("busybox")
	if err != nil {
		t.Skip("busybox is needed: install busybox-static")
	}
	data, err := os.ReadFile(box)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte("/ld-linux")) {
		t.Skip("a static busybox is needed: install busybox-static")
	}
	root := t.TempDir()
	for _, d := range []string{"bin", "dev", "proc", "sys", "tmp", "work"} {
		if err := os.Mkdir(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "bin/busybox"), data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("busybox", filepath.Join(root, "bin/sh")); err != nil {
		t.Fatal(err)
	}
	return root
}

// run runs a shell script in the root.
func run(t *testing.T, root, script string, change ...func(*Command)) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := Command{Root: root, Args: []string{"/bin/sh", "-c", "export PATH=/bin; for a in $(busybox --list); do alias $a=\"busybox $a\"; done 2>/dev/null\n" + script},
		Env: []string{"A=b"}, Hostname: "box", Output: &out, Limits: Limits{Time: time.Minute}}
	for _, f := range change {
		f(&c)
	}
	err := Run(t.Context(), c)
	if err != nil && strings.Contains(err.Error(), "forbids user namespaces") {
		t.Skip(err)
	}
	return out.String(), err
}

func TestSurroundings(t *testing.T) {
	root := newRoot(t)
	t.Setenv("SECRET", "of the host")
	for script, want := range map[string]string{
		"busybox hostname": "box",
		"busybox id -u":    "0",
		// By these ischroot(1) knows a chroot, in which scripts restart nothing.
		"busybox cat /proc/1/mountinfo | busybox wc -l":                               "0",
		"[ $(busybox cat /proc/self/mountinfo | busybox wc -l) -gt 3 ]":               "",
		"busybox env | busybox grep -v PWD= | busybox sort | busybox head -1":         "A=b",
		"busybox env | busybox grep -c SECRET":                                        "0",
		"busybox pwd":                                                                 "/",
		"busybox nproc":                                                               "1",
		"umask":                                                                       "0022",
		"ulimit -n":                                                                   "1024",
		"busybox ls /sys | busybox wc -l":                                             "0",
		"busybox cat /proc/cmdline /proc/uptime":                                      "",
		"set -- /proc/[0-9]*; echo $#":                                                "2", // the first and the shell
		"echo x > /dev/null && busybox head -c4 /dev/zero | busybox wc -c":            "4",
		"busybox tr -d ' ' < /proc/net/dev | busybox grep -c :":                       "1",
		"busybox grep -c . /proc/self/mounts | busybox grep -c '^[0-9]'":              "1",
		"echo gone > /tmp/x; echo stays > /work/x; busybox cat /work/x":               "stays",
		">/work/y; busybox chown 1234:60000 /work/y && busybox stat -c %u:%g /work/y": "1234:60000",
	} {
		out, err := run(t, root, script)
		if got := strings.TrimSpace(out); (err != nil && want != "0") || got != want {
			t.Errorf("%s: %q, %v; want %q", script, got, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "tmp/x")); err == nil {
		t.Error("/tmp of the sandbox is that of the root")
	}
	entries, err := os.ReadDir(filepath.Join(root, "dev"))
	if err != nil || len(entries) > 0 {
		t.Errorf("left in /dev: %v, %v", entries, err)
	}
}

func TestConfinement(t *testing.T) {
	root := newRoot(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("of the host"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{
		"read a file of the host":     "busybox cat " + secret,
		"climb out":                   "busybox cat ../../../../../../.." + secret,
		"mount":                       "busybox mount -t tmpfs x /work",
		"mount what it can name":      "busybox mount -t proc proc /work",
		"make a device":               "busybox mknod /work/sda b 8 0",
		"take another name":           "busybox hostname evil",
		"reach the network":           "busybox ip link set lo up && busybox ping -c1 -W1 127.0.0.1",
		"change the kernel":           "echo 1 > /proc/sys/kernel/panic",
		"press the system's keys":     "echo h > /proc/sysrq-trigger && test -s /proc/sysrq-trigger",
		"have namespaces of its own":  "busybox unshare -U -r busybox mount -t tmpfs x /work",
		"write to what shows devices": "busybox mkdir /sys/x",
		"set the clock":               "busybox date -s 2000-01-01 2>&1 | { ! busybox grep 'not permitted'; }",
	} {
		if out, err := run(t, root, script); err == nil {
			t.Errorf("a script can %s: %s", name, out)
		}
	}
}

func TestHowCommandsEnd(t *testing.T) {
	root := newRoot(t)
	_, err := run(t, root, "exit 7")
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Code != 7 {
		t.Errorf("exit 7: %v", err)
	}
	_, err = run(t, root, "kill -9 $$")
	if !errors.As(err, &exit) || exit.Code != 137 || !strings.Contains(err.Error(), "SIGKILL") {
		t.Errorf("kill itself: %v", err)
	}
	// The parent is the first process of the namespace, which no signal from
	// inside ends.
	if out, err := run(t, root, "kill -9 1; kill -9 $PPID; echo alive"); err != nil || out != "alive\n" {
		t.Errorf("kill the parent: %q, %v", out, err)
	}
	if _, err := run(t, root, "", func(c *Command) { c.Args = []string{"/bin/absent"} }); err == nil || !strings.Contains(err.Error(), "/bin/absent") {
		t.Errorf("no such program: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, Command{Root: root, Args: []string{"/bin/sh"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestLimits(t *testing.T) {
	root := newRoot(t)
	var limit *LimitError
	_, err := run(t, root, "busybox sleep 100", func(c *Command) { c.Limits.Time = 300 * time.Millisecond })
	if !errors.As(err, &limit) {
		t.Errorf("sleeping: %v", err)
	}
	_, err = run(t, root, "bomb() { bomb | bomb & }; bomb; busybox sleep 60", func(c *Command) { c.Limits.Processes = 200 })
	if !errors.As(err, &limit) || !strings.Contains(err.Error(), "200 processes") {
		t.Errorf("a fork bomb: %v", err)
	}
	_, err = run(t, root, "busybox dd if=/dev/zero of=/work/big bs=1M count=400; busybox sleep 60", func(c *Command) { c.Limits.Bytes = 50 << 20 })
	if !errors.As(err, &limit) || !strings.Contains(err.Error(), "on the disk") {
		t.Errorf("filling the disk: %v", err)
	}
}

// Whatever a command writes, the host has room left.
func TestDiskIsNotFilled(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("root is needed to mount a file system")
	}
	from, root := newRoot(t), t.TempDir()
	if err := syscall.Mount("tmpfs", root, "tmpfs", 0, "size=2g,mode=755"); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { syscall.Unmount(root, syscall.MNT_DETACH) })
	if err := os.CopyFS(root, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	var limit *LimitError
	_, err := run(t, root, "busybox dd if=/dev/zero of=/work/big bs=64k; busybox sleep 60")
	if !errors.As(err, &limit) || !strings.Contains(err.Error(), "on the disk") {
		t.Errorf("filling the disk: %v", err)
	}
}

// What a command leaves running ends with it.
func TestNothingSurvives(t *testing.T) {
	root := newRoot(t)
	if _, err := run(t, root, "(busybox setsid busybox sh -c 'while :; do busybox date >> /work/alive; busybox usleep 20000; done' &) ; busybox usleep 100000"); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(root, "work/alive")
	before, err := os.ReadFile(name)
	if err != nil || len(before) == 0 {
		t.Fatalf("the child did not run: %v", err)
	}
	time.Sleep(200 * time.Millisecond)
	if after, err := os.ReadFile(name); err != nil || len(after) != len(before) {
		t.Errorf("a child goes on: %v", err)
	}
}

func TestHostileRoots(t *testing.T) {
	for _, dir := range []string{"dev", "proc", "sys", "tmp"} {
		root := newRoot(t)
		name := filepath.Join(root, dir)
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
		if _, err := run(t, root, "true"); err == nil {
			t.Errorf("a root without %s was entered", dir)
		}
		if err := os.Symlink("/work", name); err != nil {
			t.Fatal(err)
		}
		if _, err := run(t, root, "true"); err == nil || !strings.Contains(err.Error(), "not a directory") {
			t.Errorf("%s is a link: %v", dir, err)
		}
	}
}

func TestParseSubordinate(t *testing.T) {
	const file = "# comment\nann:100000:65536\n1000:300000:5\nbob:1:1\nann:x:1\nann:1:0\nann:4294967295:2\n"
	got := fmt.Sprint(parseSubordinate(file, []string{"1000", "ann"}))
	if want := "[{0 100000 65536} {0 300000 5}]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
