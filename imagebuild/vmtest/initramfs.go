package vmtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/samebits/samebits/imagebuild/cpio"
	"github.com/samebits/samebits/imagebuild/tree"
)

// agent is the first process of the initramfs, built once for all tests of a
// package.
var agent = sync.OnceValues(func() ([]byte, error) {
	_, source, _, ok := runtime.Caller(0)
	if !ok {
		return nil, errors.New("no source")
	}
	dir, err := os.MkdirTemp("", "vmtest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "agent")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "./agent")
	cmd.Dir = filepath.Dir(source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=amd64", "GOOS=linux", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the agent: %w\n%s", err, out)
	}
	return os.ReadFile(path)
})

// Initramfs is an initramfs for a kernel, with the modules of some names and
// those that they need, and the files of report, which the machine tells.
func Initramfs(t testing.TB, kernel string, modules []string, report map[string]string) []byte {
	t.Helper()
	program, err := agent()
	if err != nil {
		t.Fatal(err)
	}
	var b tree.Builder
	add := func(path string, n tree.Inode) {
		if err := b.Add(path, n); err != nil {
			t.Fatal(err)
		}
	}
	file := func(path string, mode tree.Mode, content []byte) {
		add(path, tree.Inode{Mode: tree.Regular | mode, Size: int64(len(content)), Content: tree.Bytes(content)})
	}
	for _, dir := range []string{"proc", "dev", "sys", "modules", "report"} {
		add(dir, tree.Inode{Mode: tree.Directory | 0o755})
	}
	add("dev/console", tree.Inode{Mode: tree.CharDev | 0o600, Major: 5, Minor: 1})
	file("init", 0o755, program)
	for name, content := range report {
		file("report/"+name, 0o644, []byte(content))
	}
	for i, path := range modulesOf(t, kernel, modules) {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file(fmt.Sprintf("modules/%03d-%s", i, filepath.Base(path)), 0o644, content)
	}
	frozen, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := cpio.Write(t.Context(), &out, frozen, cpio.Options{}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// modulesOf are the files of modules, in the order in which they are loaded.
func modulesOf(t testing.TB, kernel string, names []string) []string {
	t.Helper()
	root := filepath.Join("/lib/modules", Release(kernel))
	index, err := os.ReadFile(filepath.Join(root, "modules.dep"))
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, name := range names {
		found := false
		for line := range strings.Lines(string(index)) {
			path, needs, _ := strings.Cut(strings.TrimSpace(line), ":")
			if filepath.Base(path) != name+".ko" {
				continue
			}
			found = true
			all := strings.Fields(needs)
			slices.Reverse(all)
			for _, one := range append(all, path) {
				if full := filepath.Join(root, one); !slices.Contains(order, full) {
					order = append(order, full)
				}
			}
		}
		if !found {
			t.Fatalf("the kernel %s has no module %s", kernel, name)
		}
	}
	return order
}
