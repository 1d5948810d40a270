package pacman

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

// walk lists the members with their bytes, and the error at the end.
func walk(data []byte) (out []string, slow bool, err error) {
	m := newMembers(bytes.NewReader(data), 1<<30)
	for {
		name, regular, err := m.next()
		if err == io.EOF {
			return out, m.slow != nil, nil
		}
		if err != nil {
			return out, m.slow != nil, err
		}
		if !regular {
			continue
		}
		line := string(name)
		if len(out)%2 == 0 { // the others are passed over
			body, err := m.body(1 << 20)
			if err != nil {
				return out, m.slow != nil, err
			}
			line += "=" + string(body)
		}
		out = append(out, line)
	}
}

// walkTar is walk by archive/tar alone.
func walkTar(data []byte) (out []string, err error) {
	t := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := t.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		line := h.Name
		if len(out)%2 == 0 {
			body, err := readBounded(t, 1<<20)
			if err != nil {
				return out, err
			}
			line += "=" + string(body)
		}
		out = append(out, line)
	}
}

func write(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i, h := range headers {
		body := strings.Repeat(fmt.Sprint(i), 300*i)
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(body))
		} else {
			body = ""
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(name string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
}

func TestMembers(t *testing.T) {
	long := strings.Repeat("long/", 25) + "desc"
	dir := tar.Header{Name: "a-1-1/", Typeflag: tar.TypeDir, Format: tar.FormatUSTAR}
	pax := tar.Header{Name: "ü/desc", Typeflag: tar.TypeReg, Format: tar.FormatPAX, ModTime: time.Unix(1, 5)}
	gnu := tar.Header{Name: long + long, Typeflag: tar.TypeReg, Format: tar.FormatGNU}
	link := tar.Header{Name: "link", Linkname: "a", Typeflag: tar.TypeSymlink, Format: tar.FormatUSTAR}
	for name, c := range map[string]struct {
		headers []tar.Header
		slow    bool
	}{
		"nothing":       {nil, false},
		"as repo-add":   {[]tar.Header{dir, file("a-1-1/desc"), dir, file("b"), file("c"), file("d")}, false},
		"full name":     {[]tar.Header{file(strings.Repeat("x", 99)), file("b"), file("c")}, false},
		"longest name":  {[]tar.Header{file("a"), file(strings.Repeat("x", 100)), file("c")}, true},
		"prefix":        {[]tar.Header{file("a"), file("b"), file(long), file("c")}, true},
		"pax":           {[]tar.Header{file("a"), file("b"), pax, file("c"), dir, file("d")}, true},
		"GNU":           {[]tar.Header{gnu, file("a"), file("b")}, true},
		"symbolic link": {[]tar.Header{file("a"), file("b"), link, file("c")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			data := write(t, c.headers...)
			want, err := walkTar(data)
			if err != nil {
				t.Fatal(err)
			}
			got, slow, err := walk(data)
			if err != nil || !slices.Equal(got, want) || slow != c.slow {
				t.Fatalf("got %q, slow %t, %v; want %q", got, slow, err, want)
			}
			for cut := range data[:len(data)-1024] {
				if cut%64 != 0 {
					continue
				}
				if _, _, err := walk(data[:cut]); err == nil {
					t.Fatalf("%d of %d bytes are taken for whole", cut, len(data))
				}
			}
		})
	}
}

func TestMembersBehindTheEnd(t *testing.T) {
	data := write(t, file("a"))
	data = append(data[:len(data)-blockSize], write(t, file("hidden"))...)
	if got, _, err := walk(data); err == nil {
		t.Errorf("after one block of zeros it goes on: %q", got)
	}
}

func TestMembersThatAreTooLong(t *testing.T) {
	m := newMembers(bytes.NewReader(write(t, file("a"), file("b"), file("c"))), 1<<20)
	for range 3 {
		if _, _, err := m.next(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.body(599); err == nil || !strings.Contains(err.Error(), "longer than 599") {
		t.Error(err)
	}
	m = newMembers(bytes.NewReader(write(t, file("a"), file("b"))), 1000)
	var err error
	for err == nil {
		_, _, err = m.next()
	}
	if err == io.EOF || !strings.Contains(err.Error(), "more than anything real") {
		t.Error(err)
	}
}

func FuzzMembers(f *testing.F) {
	f.Add(write(f, file("a"), file("b"), file("c")))
	f.Add(write(f, tar.Header{Name: "a-1-1/", Typeflag: tar.TypeDir}, file("b")))
	f.Add(write(f, file("a"), tar.Header{Name: "ü", Typeflag: tar.TypeReg, Format: tar.FormatPAX}))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, _, err := walk(data)
		want, tarErr := walkTar(data)
		switch {
		case err == nil && errors.Is(tarErr, tar.ErrHeader):
			// It looks at owners, modes and times, which mean nothing here.
			if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
				t.Fatalf("archive/tar has %q before it fails; here %q", want, got)
			}
		case err == nil && (tarErr != nil || !slices.Equal(got, want)):
			t.Fatalf("archive/tar has %q, %v; here %q", want, tarErr, got)
		case err != nil && tarErr == nil && !errors.Is(err, errCut) && !strings.Contains(err.Error(), "longer than"):
			t.Fatalf("archive/tar reads it; here %v", err)
		}
	})
}
