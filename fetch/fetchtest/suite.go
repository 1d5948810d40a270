package fetchtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// Files are what the suite asks a source for: names with characters that need
// care, an empty file and a large one.
func Files() map[string][]byte {
	return map[string][]byte{
		"pool/main/h/hello/hello_2.10-3_amd64.deb": Data(1, 52_000),
		"pool/g++/g++-12_12.2.0-14+deb12u1.deb":    Data(2, 3_000),
		"pool/t/tilde_1.0~rc1-1.deb":               Data(3, 100),
		"extra/foo-1:2.3-1-x86_64.pkg.tar.zst":     Data(4, 100),
		"odd/100%25 of it?.deb":                    Data(5, 100),
		"odd/ümlaut & #co=;,@.deb":                 Data(6, 100),
		"empty":                                    {},
		"large":                                    Data(7, 3<<20),
	}
}

// Data returns n bytes that follow from the seed.
func Data(seed uint64, n int) []byte {
	b := make([]byte, n)
	src := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	_, _ = src.Read(b)
	return b
}

// Requests asks for files, in no particular order, from one archive.
func Requests(files map[string][]byte, archive string) []fetch.Request {
	var out []fetch.Request
	for path, data := range files {
		out = append(out, fetch.Request{Entry: lockfile.Entry{
			Digest:  lockfile.DigestOf(data),
			Path:    path,
			Archive: lockfile.Archive{Name: archive},
		}})
	}
	return out
}

// Run checks that a source keeps the contract of [fetch.Source]. newSource
// returns one that has the given files, of which the keys are paths.
func Run(t *testing.T, newSource func(t *testing.T, files map[string][]byte) fetch.Source) {
	files := Files()
	s := newSource(t, files)
	for _, req := range Requests(files, "") {
		t.Run("content/"+req.Entry.Path, func(t *testing.T) { testContent(t, s, req, files[req.Entry.Path]) })
	}
	large := fetch.Request{Entry: lockfile.Entry{Path: "large", Digest: lockfile.DigestOf(files["large"])}}
	t.Run("name", func(t *testing.T) {
		if first, again := s.Name(), s.Name(); first == "" || again != first {
			t.Errorf("Name() = %q, then %q", first, again)
		}
		if !s.Serves(large.Entry) {
			t.Errorf("Serves(%v) = false for a file that names no archive", large.Entry)
		}
	})
	t.Run("not there", func(t *testing.T) { testMissing(t, s) })
	t.Run("beyond the end", func(t *testing.T) { testBeyond(t, s, large, files["large"]) })
	t.Run("validator", func(t *testing.T) { testValidator(t, s, large, files["large"]) })
	t.Run("cancel", func(t *testing.T) { testCancel(t, s, large) })
	t.Run("close early", func(t *testing.T) { testCloseEarly(t, s, large, files["large"]) })
	t.Run("concurrent", func(t *testing.T) { testConcurrent(t, s, files) })
}

// read opens, checks and reads a file.
func read(s fetch.Source, req fetch.Request, want []byte) error {
	body, err := s.Open(context.Background(), req)
	if err != nil {
		return err
	}
	defer body.Close()
	if body.Offset != req.Offset && body.Offset != 0 {
		return fmt.Errorf("the body begins at %d when %d was asked for", body.Offset, req.Offset)
	}
	if body.Size != int64(len(want)) && body.Size != -1 {
		return fmt.Errorf("the size is given as %d, want %d or -1", body.Size, len(want))
	}
	got, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want[body.Offset:]) {
		return fmt.Errorf("%d bytes from %d differ from the file's", len(got), body.Offset)
	}
	return body.Close()
}

func testContent(t *testing.T, s fetch.Source, req fetch.Request, want []byte) {
	for _, offset := range []int{0, 1, len(want) / 2, len(want) - 1} {
		if offset < 0 || offset > len(want) {
			continue
		}
		req.Offset = int64(offset)
		if err := read(s, req, want); err != nil {
			t.Errorf("from %d: %v", offset, err)
		}
	}
}

func testMissing(t *testing.T, s fetch.Source) {
	for _, offset := range []int64{0, 10} {
		req := fetch.Request{Entry: lockfile.Entry{Path: "pool/none.deb", Digest: lockfile.DigestOf([]byte("none"))}, Offset: offset}
		body, err := s.Open(context.Background(), req)
		if err == nil {
			body.Close()
		}
		if !errors.Is(err, fs.ErrNotExist) || !fetch.IsPermanent(err) {
			t.Errorf("from %d: error %v, want one that wraps fs.ErrNotExist", offset, err)
		}
	}
}

// testBeyond asks for what follows a complete file, which is nothing, and for
// what follows more than that, which is the file again.
func testBeyond(t *testing.T, s fetch.Source, req fetch.Request, want []byte) {
	req.Offset = int64(len(want))
	if err := read(s, req, want); err != nil {
		t.Errorf("at the end: %v", err)
	}
	req.Offset++
	body, err := s.Open(context.Background(), req)
	if err != nil {
		t.Fatalf("beyond the end: %v", err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || body.Offset != 0 || !bytes.Equal(got, want) {
		t.Errorf("beyond the end: %d bytes from %d, error %v; want the file from the start", len(got), body.Offset, err)
	}
}

func testValidator(t *testing.T, s fetch.Source, req fetch.Request, want []byte) {
	body, err := s.Open(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	body.Close()
	if body.Validator == "" {
		return // a source need not have one
	}
	req.Offset, req.Validator = 1000, body.Validator
	if err := read(s, req, want); err != nil {
		t.Errorf("with the source's validator: %v", err)
	}
	req.Validator = `"of another version"`
	body, err = s.Open(context.Background(), req)
	if err != nil {
		t.Fatalf("with another validator: %v", err)
	}
	body.Close()
	if body.Offset != 0 {
		t.Errorf("with another validator the answer begins at %d, want 0", body.Offset)
	}
}

func testCancel(t *testing.T, s fetch.Source, req fetch.Request) {
	ctx, cancel := context.WithCancel(context.Background())
	body, err := s.Open(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, err := io.ReadFull(body, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	cancel()
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, body)
		done <- err
	}()
	select {
	case err := <-done:
		// What was on its way may still arrive in full.
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("reading on after the context ended: %v, want context.Canceled", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("reading goes on after the context ended")
	}
	if body, err := s.Open(ctx, req); !errors.Is(err, context.Canceled) {
		t.Errorf("Open with an ended context: %v, want context.Canceled", err)
		if err == nil {
			body.Close()
		}
	}
}

func testCloseEarly(t *testing.T, s fetch.Source, req fetch.Request, want []byte) {
	for range 20 {
		body, err := s.Open(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		if err := body.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if n, err := body.Read(make([]byte, 1)); err == nil {
			t.Errorf("Read after Close gives %d bytes and no error", n)
		}
	}
	if err := read(s, req, want); err != nil {
		t.Errorf("after bodies that were closed early: %v", err)
	}
}

func testConcurrent(t *testing.T, s fetch.Source, files map[string][]byte) {
	var all sync.WaitGroup
	for range 4 {
		for _, req := range Requests(files, "") {
			all.Go(func() {
				if err := read(s, req, files[req.Entry.Path]); err != nil {
					t.Errorf("%s: %v", req.Entry.Path, err)
				}
			})
		}
	}
	all.Wait()
}
