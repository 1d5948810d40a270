package chroot

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestInOwnRoot(t *testing.T) {
	err := In("/", Mounts{}, func(text string) { t.Errorf("warned: %s", text) }, func(root string) error {
		if root != "" {
			t.Errorf("programs would run in %q", root)
		}
		return fs.ErrInvalid
	})
	if !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
}

// TestInRoot looks at the mounts by programs of the host that see the root
// from outside: they are started where the mounts are.
func TestInRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounts need root")
	}
	for _, tt := range []struct {
		name    string
		mounts  Mounts
		devices bool // the root has some
		want    string
	}{
		{"plain", Mounts{}, false, "proc sys dev dev/pts dev/shm"},
		{"with devices", Mounts{}, true, "proc sys dev dev/pts dev/shm"},
		{"with run", Mounts{Run: true}, false, "proc sys run dev dev/pts dev/shm"},
		{"keeping what there is not", Mounts{KeepDev: true}, false, "proc sys dev dev/pts dev/shm"},
		{"keeping devices", Mounts{KeepDev: true}, true, "proc sys"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for _, dir := range []string{"proc", "sys", "run", "dev"} {
				if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if tt.devices {
				if err := fillNull(filepath.Join(root, "dev/null")); err != nil {
					t.Skipf("no device can be made: %v", err)
				}
			}
			var got []string
			err := In(root, tt.mounts, func(text string) { t.Skip(text) }, func(in string) error {
				if in != root {
					t.Errorf("programs would run in %q", in)
				}
				out, err := exec.Command("cat", "/proc/self/mountinfo").Output()
				got = mountsBelow(string(out), root)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.Join(got, " "); text != tt.want {
				t.Errorf("mounted %s, want %s", text, tt.want)
			}
			out, err := os.ReadFile("/proc/self/mountinfo")
			if left := mountsBelow(string(out), root); err != nil || len(left) != 0 {
				t.Errorf("others see %q, %v", left, err)
			}
		})
	}
}

func fillNull(name string) error {
	return exec.Command("mknod", name, "c", "1", "3").Run()
}

func mountsBelow(mountinfo, root string) []string {
	var found []string
	for line := range strings.Lines(mountinfo) {
		if fields := strings.Fields(line); len(fields) > 4 {
			if name, ok := strings.CutPrefix(fields[4], root+"/"); ok {
				found = append(found, name)
			}
		}
	}
	return found
}

func TestWithin(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(root, "var/lib/x"), "")
	for name, to := range map[string]string{"good": "var/lib", "bad": outside, "climbs": "../../../../../../../../etc", "here": "."} {
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	for dir, want := range map[string]string{"var/lib": "var/lib", "/var/lib": "var/lib", "good": "var/lib", "here": "", "": ""} {
		if got, err := Within(root, dir); err != nil || got != filepath.Join(root, want) {
			t.Errorf("%q: %q, %v", dir, got, err)
		}
	}
	for _, dir := range []string{"bad", "climbs", "/bad"} {
		if got, err := Within(root, dir); err == nil || !strings.Contains(err.Error(), "leads out of it") {
			t.Errorf("%q: %q, %v", dir, got, err)
		}
	}
	if _, err := Within(root, "absent"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if got, err := Within("/", "/usr/bin/.."); err != nil || got != "/usr" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestStage(t *testing.T) {
	// A name that means something to those who look for files by patterns.
	root := filepath.Join(t.TempDir(), "[root]")
	blob := filepath.Join(t.TempDir(), "blob")
	write(t, blob, "bytes")
	for _, name := range []string{"db/" + StagePrefix + "1/x", "db/" + StagePrefix + "file", "db/other/x"} {
		write(t, filepath.Join(root, name), "left by a run that was killed")
	}
	var mended []string
	first, err := NewStage(root, "/db", func(path string) error {
		mended = append(mended, filepath.Base(path))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(mended, []string{StagePrefix + "1"}) {
		t.Errorf("mended %q", mended)
	}
	if filepath.Join(root, first.Inside) != first.Path {
		t.Errorf("%s is %s from within", first.Path, first.Inside)
	}
	if info, err := os.Stat(first.Path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	// A stage that is in use is not stale.
	second, err := NewStage(root, "db", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, add := range []func(name, file string) error{first.Show, first.Put, second.Put} {
		if err := add(fmt.Sprint(i), blob); err != nil {
			t.Error(err)
		}
	}
	for i, dir := range []string{first.Path, first.Path, second.Path} {
		name := filepath.Join(dir, fmt.Sprint(i))
		info, err := os.Lstat(name)
		if data, _ := os.ReadFile(name); err != nil || !info.Mode().IsRegular() || string(data) != "bytes" {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if err := first.Put("0", blob); err == nil {
		t.Error("a file of the stage was written over")
	}
	first.Remove()
	second.Remove()
	entries, err := os.ReadDir(filepath.Join(root, "db"))
	if err != nil || len(entries) != 2 {
		t.Errorf("left over: %v, %v", entries, err)
	}
	if data, err := os.ReadFile(blob); err != nil || string(data) != "bytes" {
		t.Errorf("the cache lost a file: %q, %v", data, err)
	}
}

// TestStageThatCannotBeMended keeps what a killed run left for a later one.
func TestStageThatCannotBeMended(t *testing.T) {
	root := t.TempDir()
	left := filepath.Join(root, "db", StagePrefix+"1", "x")
	write(t, left, "")
	if _, err := NewStage(root, "db", func(string) error { return fs.ErrPermission }); !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Error(err)
	}
}

func TestStageStaysInRoot(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	write(t, filepath.Join(outside, StagePrefix+"1/x"), "")
	if err := os.Symlink(outside, filepath.Join(root, "db")); err != nil {
		t.Fatal(err)
	}
	if _, err := NewStage(root, "db", nil); err == nil || !strings.Contains(err.Error(), "leads out") {
		t.Error(err)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) != 1 {
		t.Errorf("changed outside: %v, %v", left, err)
	}
}

func TestRun(t *testing.T) {
	t.Setenv("SECRET", "of a person")
	var out bytes.Buffer
	err := Run(Program{Name: "sh", Command: []string{"/bin/sh", "-c", "pwd; env; cat; echo to both >&2"}, Dir: "/usr",
		Stdin: strings.NewReader("input\n"), Output: &out})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/usr\n", "LC_ALL=C.UTF-8\n", "input\n", "to both\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %q", want, out.String())
		}
	}
	if strings.Contains(out.String(), "SECRET") {
		t.Errorf("a variable got through: %q", out.String())
	}
}

func TestRunFails(t *testing.T) {
	odd := filepath.Join(t.TempDir(), "odd")
	if err := os.WriteFile(odd, []byte("\x7fELF of no machine"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		command []string
		want    string
	}{
		{[]string{"/bin/sh", "-c", "echo first; echo last; exit 7"}, "tool failed (exit status 7); the last it said:\n  first\n  last\nwhen"},
		{[]string{"/bin/sh", "-c", "exit 7"}, "tool: exit status 7"},
		{[]string{odd}, "tool: " + ErrArchitecture.Error()},
	} {
		err := Run(Program{Name: "tool", Command: tt.command, Dir: "/", Output: &bytes.Buffer{}})
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %s", tt.command, err, tt.want)
		}
	}
	err := Run(Program{Name: "tool", Command: []string{"/bin/sh", "-c", "echo x; exit 7"}, Output: &bytes.Buffer{}})
	if failure, ok := errors.AsType[*Failure](err); !ok || failure.Last[0] != "x" {
		t.Errorf("%#v", err)
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 7 {
		t.Errorf("%v", err)
	}
}

// TestRunLeavesServices has a program whose child keeps the output open.
func TestRunLeavesServices(t *testing.T) {
	if err := Run(Program{Name: "sh", Command: []string{"/bin/sh", "-c", "sleep 5 &"}, Output: &bytes.Buffer{}}); err != nil {
		t.Error(err)
	}
}

func TestTail(t *testing.T) {
	last := &tail{}
	for i := range 100 {
		fmt.Fprintf(last, "li")
		fmt.Fprintf(last, "ne %d\n\n", i)
	}
	fmt.Fprint(last, strings.Repeat("x", 1<<20))
	if len(last.lines) != tailLines || last.lines[tailLines-1] != "line 99" || len(last.rest) != tailWidth {
		t.Errorf("kept %d lines to %q and %d bytes", len(last.lines), last.lines[len(last.lines)-1], len(last.rest))
	}
}
