package debian

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/target"
	"github.com/samebits/samebits/lockfile"
)

// A made is a package that a test makes, well or badly.
type made struct {
	control string            // fields besides Version and Architecture, Package first
	files   map[string]string // of the control archive
	members []tar.Header      // of the data archive; PAXRecords["text"] is the content
	data    []byte            // instead of members: the data.tar.gz itself
}

// plain is a regular file of a package.
func plain(name, text string) tar.Header {
	return tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg, PAXRecords: map[string]string{"text": text}, ModTime: time.Unix(1e9, 0)}
}

func folder(name string) tar.Header {
	return tar.Header{Name: name + "/", Mode: 0o755, Typeflag: tar.TypeDir, ModTime: time.Unix(1e9, 0)}
}

func linked(name, to string, kind byte) tar.Header {
	return tar.Header{Name: name, Linkname: to, Mode: 0o777, Typeflag: kind, ModTime: time.Unix(1e9, 0)}
}

func packed(members []tar.Header) []byte {
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	tw := tar.NewWriter(zw)
	for _, h := range members {
		text := h.PAXRecords["text"]
		h.PAXRecords, h.Format = nil, tar.FormatGNU
		err := tw.WriteHeader(&h)
		if err == nil && text != "" {
			_, err = io.WriteString(tw, text)
		}
		if err != nil {
			panic(err)
		}
	}
	if err := errors.Join(tw.Flush(), zw.Close()); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// deb is the package file.
func (m made) deb() []byte {
	control := m.control + "\n"
	for _, f := range []struct{ field, value string }{{"Version", "1"}, {"Architecture", "all"}, {"Maintainer", "Nobody <n@example.org>"}, {"Description", "a test"}} {
		if !strings.Contains("\n"+control, "\n"+f.field+":") {
			control += f.field + ": " + f.value + "\n"
		}
	}
	inner := []tar.Header{plain("./control", control)}
	for name, text := range m.files {
		h := plain("./"+name, text)
		h.Mode = 0o755
		inner = append(inner, h)
	}
	data := m.data
	if data == nil {
		data = packed(append([]tar.Header{folder(".")}, m.members...))
	}
	out := bytes.NewBufferString("!<arch>\n")
	for _, part := range []struct {
		name string
		data []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar.gz", packed(inner)}, {"data.tar.gz", data}} {
		fmt.Fprintf(out, "%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", part.name, 0, 0, 0, "100644", len(part.data), part.data)
		if len(part.data)%2 == 1 {
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}

// madeBlobs keeps packages for an assembly.
type madeBlobs map[lockfile.Digest]string

func (b madeBlobs) Path(_ context.Context, d lockfile.Digest) (string, error) {
	if name, ok := b[d]; ok {
		return name, nil
	}
	return "", fs.ErrNotExist
}

// madeLock makes a lock of packages, each with its file.
func madeLock(t testing.TB, debs ...[]byte) (*lockfile.Lock, madeBlobs) {
	t.Helper()
	dir := t.TempDir()
	blobs := madeBlobs{}
	lock := &lockfile.Lock{Date: time.Unix(1.7e9, 0).UTC(), System: lockfile.System{Distro: "debian", Version: "12", Arch: "amd64"}}
	for i, data := range debs {
		d := lockfile.Digest(sha256.Sum256(data))
		blobs[d] = filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(blobs[d], data, 0o644); err != nil {
			t.Fatal(err)
		}
		lock.Entries = append(lock.Entries, lockfile.Entry{Digest: d, Path: fmt.Sprintf("pool/p%d.deb", i)})
	}
	return lock, blobs
}

// assembleIn assembles packages in a directory of the test's own. run stands
// for the sandbox, nil for no scripts.
func assembleIn(t testing.TB, run func(root *target.Dir, s distro.Step) error, packages ...made) (*target.Dir, error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("root is needed to give files to others")
	}
	root, err := target.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	var debs [][]byte
	for _, p := range packages {
		debs = append(debs, p.deb())
	}
	lock, blobs := madeLock(t, debs...)
	a := distro.Assembly{Lock: lock, Blobs: blobs, Root: root, Epoch: lock.Date, Parallel: 2}
	if run != nil {
		a.Run = func(_ context.Context, s distro.Step) error { return run(root, s) }
	}
	return root, (Distro{}).Assemble(t.Context(), a)
}

// whole assembles what must work, without scripts.
func whole(t *testing.T, packages ...made) *target.Dir {
	t.Helper()
	root, err := assembleIn(t, nil, packages...)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func textOf(t *testing.T, root *target.Dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root.Path(), name))
	if errors.Is(err, fs.ErrNotExist) {
		return "absent"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
