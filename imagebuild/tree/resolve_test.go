package tree

import (
	"errors"
	"io/fs"
	"testing"
)

func TestResolve(t *testing.T) {
	var b Builder
	link := func(path, target string) error {
		return b.Add(path, Inode{Mode: Symlink | 0o777, Target: target})
	}
	for _, err := range []error{
		b.Add("usr", Inode{Mode: Directory | 0o755}),
		b.Add("usr/bin", Inode{Mode: Directory | 0o755}),
		b.Add("usr/bin/sh", Inode{Mode: Regular | 0o755, Size: 2, Content: Bytes([]byte("sh"))}),
		link("bin", "usr/bin"),
		link("usr/bin/bash", "./sh"),
		link("usr/bin/dash", "/../bin/../bin/bash"),
		link("usr/up", "../.."),
		link("loop", "loop"),
		link("gone", "/nowhere"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"": "", "/": "", "usr/": "usr", "bin": "usr/bin", "bin/sh": "usr/bin/sh", "/bin//bash": "usr/bin/sh",
		"usr/bin/dash": "usr/bin/sh", "../../bin/sh": "usr/bin/sh", "usr/up/bin": "usr/bin", "usr/bin/..": "usr",
	} {
		if n, err := tr.Resolve(path); err != nil || n.Path() != want {
			t.Errorf("%q leads to %v, %v; want %q", path, n, err, want)
		}
	}
	for _, path := range []string{"gone", "usr/bin/zsh", "nothing/at/all", "usr/bin/sh/x"} {
		if _, err := tr.Resolve(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v", path, err)
		}
	}
	if _, err := tr.Resolve("loop"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a loop: %v", err)
	}
	if n, ok := tr.File("bin/bash"); !ok || n.Path() != "usr/bin/sh" {
		t.Errorf("bin/bash is the file %q, %t", n.Path(), ok)
	}
	if n, ok := tr.File("bin"); ok {
		t.Errorf("bin is the file %q", n.Path())
	}
}
