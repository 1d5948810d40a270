package deb

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"testing"
)

// packed is a package of a control archive with these files and a data archive
// of one.
func packed(t testing.TB, control map[string]string) []byte {
	t.Helper()
	archive := func(files map[string]string) []byte {
		var b bytes.Buffer
		zw := gzip.NewWriter(&b)
		tw := tar.NewWriter(zw)
		for name, text := range files {
			if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text))}); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(tw, text); err != nil {
				t.Fatal(err)
			}
		}
		if err := tw.Close(); err != nil {
			t.Fatal(err)
		}
		if err := zw.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	out := bytes.NewBufferString("!<arch>\n")
	for _, m := range []struct {
		name string
		data []byte
	}{{"debian-binary", []byte("2.0\n")}, {"control.tar.gz", archive(control)}, {"data.tar.gz", archive(map[string]string{"./x": "content"})}} {
		fmt.Fprintf(out, "%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", m.name, 0, 0, 0, "100644", len(m.data), m.data)
		if len(m.data)%2 == 1 {
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}

const someControl = "Package: a\nVersion: 1\nArchitecture: all\nReplaces: b\n"

func TestOpen(t *testing.T) {
	data := packed(t, map[string]string{"./control": someControl, "./postinst": "#!/bin/sh\n"})
	a, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if a.Package != "a" || a.Paragraph.Get("Replaces") != "b" || len(a.Files) != 1 || a.Files["postinst"].Mode != 0o755 || string(a.Files["postinst"].Content) != "#!/bin/sh\n" {
		t.Errorf("%+v", a)
	}
	for range 2 {
		r, err := a.Data()
		if err != nil {
			t.Fatal(err)
		}
		h, err := tar.NewReader(r).Next()
		if err != nil || h.Name != "./x" || r.Close() != nil {
			t.Errorf("%v, %v", h, err)
		}
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"no control": {packed(t, map[string]string{"./postinst": ""}), "no control file"},
		"a path":     {packed(t, map[string]string{"./control": someControl, "./a/b": ""}), "has no place there"},
		"upwards":    {packed(t, map[string]string{"./control": someControl, "../b": ""}), "has no place there"},
		"no data":    {data[:bytes.LastIndex(data, []byte("data.tar.gz"))], "no data archive"},
		"cut":        {data[:len(data)-20], ""},
		"nothing":    {nil, ""},
	} {
		if _, err := Open(bytes.NewReader(c.data), int64(len(c.data))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(packed(f, map[string]string{"./control": someControl, "./triggers": "interest x\n"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		if a.Control == nil || a.Package == "" || strings.Contains(a.Package+a.Architecture, "/") {
			t.Errorf("a package %+v was taken", a.Control)
		}
		for name := range a.Files {
			if strings.Contains(name, "/") || name == ".." {
				t.Errorf("a control file is called %q", name)
			}
		}
		if r, err := a.Data(); err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(r, 1<<20))
			_ = r.Close()
		}
	})
}
