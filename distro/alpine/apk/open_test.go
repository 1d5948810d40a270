package apk_test

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro/alpine/apk"
)

// TestOpenRealPackages opens packages of a real release and reads their files
// to the end.
func TestOpenRealPackages(t *testing.T) {
	index := data(t, "iso-3.19.1/x86_64/APKINDEX.tar.gz")
	files, err := filepath.Glob(filepath.Join(filepath.Dir(index), "*.apk"))
	if err != nil || len(files) < 90 {
		t.Fatal(len(files), err)
	}
	scripts, triggers := 0, 0
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		a, err := apk.Open(f, info.Size())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if want, err := apk.ReadPackage(io.NewSectionReader(f, 0, info.Size())); err != nil || a.Name != want.Name || !bytes.Equal(a.Identity, want.Identity) || a.Size != info.Size() {
			t.Errorf("%s is %s, %x, of %d bytes (%v)", name, a.Name, a.Identity, a.Size, err)
		}
		scripts += len(a.Scripts)
		triggers += len(a.Triggers)
		for range 2 {
			r, err := a.Data()
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, r); n%512 != 0 || err != nil {
				t.Errorf("%s has %d bytes of data, %v", name, n, err)
			}
			r.Close()
		}
		if a.Name == "busybox" {
			kinds := slices.Sorted(maps.Keys(a.Scripts))
			if strings.Join(kinds, " ") != "post-install post-upgrade trigger" || strings.Join(a.Triggers, " ") != "/bin /usr/bin /sbin /usr/sbin /lib/modules/*" {
				t.Errorf("busybox has scripts %q and triggers %q", kinds, a.Triggers)
			}
		}
		f.Close()
	}
	if scripts == 0 || triggers == 0 {
		t.Errorf("%d scripts, %d triggers", scripts, triggers)
	}
}

// TestOpenRefuses what is no package of apk 2.
func TestOpenRefuses(t *testing.T) {
	for text, want := range map[string]string{"": "no package", "hello": "", "ADBd": "apk 3", "\x1f\x8b": "ends too early"} {
		_, err := apk.Open(strings.NewReader(text), int64(len(text)))
		if !errors.Is(err, apk.ErrFormat) || want != "no package" && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzOpen demands that no file makes it fail otherwise than by an error of
// the format.
func FuzzOpen(f *testing.F) {
	f.Add(build(f, "hello", "1-r0", "noarch", "triggers = /a /b").unsigned())
	f.Add([]byte("ADB."))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := apk.Open(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			if !errors.Is(err, apk.ErrFormat) {
				t.Error(err)
			}
			return
		}
		r, err := a.Data()
		if err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(r, 1<<20))
			err = r.Close()
		}
		if err != nil && !errors.Is(err, apk.ErrFormat) {
			t.Error(err)
		}
	})
}
