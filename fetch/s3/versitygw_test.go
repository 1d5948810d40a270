package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

var testLogin = &Login{AccessKey: "testkey", SecretKey: "testsecret"}

// A store is an S3 server for a test, of which the buckets are folders.
type store struct{ endpoint, folder string }

func startStore(tb testing.TB) store {
	tb.Helper()
	s := store{fetchtest.FreeAddress(tb), tb.TempDir()}
	cmd := exec.Command(fetchtest.Program(tb, "versitygw"), "--quiet", "--port", s.endpoint, "posix", s.folder)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+testLogin.AccessKey, "ROOT_SECRET_KEY="+testLogin.SecretKey)
	fetchtest.Start(tb, cmd, fetchtest.Listens(s.endpoint))
	return s
}

// config is a bucket of the store, which is made.
func (s store) config(tb testing.TB, bucket, prefix string) Config {
	tb.Helper()
	if err := os.MkdirAll(filepath.Join(s.folder, bucket), 0o755); err != nil {
		tb.Fatal(err)
	}
	return Config{Bucket: bucket, Prefix: prefix, Endpoint: s.endpoint, PlainHTTP: true, Login: testLogin}
}

func open(tb testing.TB, c Config) *Bucket {
	tb.Helper()
	b, err := Open(web.NewClient(web.Config{}), c)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func sinkOf(tb testing.TB, b *Bucket) *Sink {
	tb.Helper()
	s, err := b.Sink()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// file is a file to put.
func file(path string, data []byte) fetch.File {
	lock := &lockfile.Lock{Entries: []lockfile.Entry{{Path: path, Digest: lockfile.DigestOf(data)}}}
	return fetchtest.Set(lock, map[string][]byte{path: data}).Files[0]
}

func put(tb testing.TB, s fetch.Sink, path string, data []byte) (sent bool) {
	tb.Helper()
	sent, err := s.Put(context.Background(), file(path, data))
	if err != nil {
		tb.Fatal(err)
	}
	return sent
}

func read(s fetch.Source, req fetch.Request) ([]byte, *fetch.Body, error) {
	body, err := s.Open(context.Background(), req)
	if err != nil {
		return nil, nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	return data, body, err
}

func TestStore(t *testing.T) {
	s := startStore(t)
	for name, prefix := range map[string]string{"conformance": "", "conformance below a prefix": "team/debian:12+x~"} {
		t.Run(name, func(t *testing.T) {
			fetchtest.Run(t, func(t *testing.T, files map[string][]byte) fetch.Source {
				b := open(t, s.config(t, "source", prefix))
				sink := sinkOf(t, b)
				for path, data := range files {
					put(t, sink, path, data)
				}
				return b
			})
		})
	}
	t.Run("sink", func(t *testing.T) { testSink(t, s) })
	t.Run("layout", func(t *testing.T) { testLayout(t, s) })
	t.Run("large", func(t *testing.T) { testLarge(t, s) })
	t.Run("changed", func(t *testing.T) { testChanged(t, s) })
	t.Run("wrong bytes", func(t *testing.T) { testWrong(t, s) })
	t.Run("refused", func(t *testing.T) { testRefused(t, s) })
	t.Run("anonymous and presigned", func(t *testing.T) { testSharing(t, s) })
}

func testSink(t *testing.T, s store) {
	n := 0
	fetchtest.RunSink(t, func(t *testing.T) fetchtest.SinkCase {
		n++
		c := s.config(t, "sink-"+strings.Repeat("x", n), "p")
		c.Lock = "bookworm"
		b := open(t, c)
		sink := sinkOf(t, b)
		return fetchtest.SinkCase{Sink: sink, Source: b, Locks: func(ctx context.Context) ([]*lockfile.Lock, error) {
			var out []*lockfile.Lock
			for _, name := range sink.Locks() {
				c := c
				c.Lock = name
				lock, _, err := open(t, c).Lock(ctx)
				if err != nil {
					return nil, err
				}
				out = append(out, lock)
			}
			return out, nil
		}}
	})
}

// testLayout holds the keys, which other tools may rely on.
func testLayout(t *testing.T, s store) {
	c := s.config(t, "layout", "a/b")
	data := []byte("data")
	lock := &lockfile.Lock{Entries: []lockfile.Entry{{Path: "x.deb", Digest: lockfile.DigestOf(data)}}}
	set := fetchtest.Set(lock, map[string][]byte{"x.deb": data})
	digest := lockfile.DigestOf(lock.Format()).String()
	for _, name := range []string{"", "mine"} {
		c.Lock = name
		if _, err := fetch.Push(context.Background(), sinkOf(t, open(t, c)), []fetch.Set{set}, fetch.Pushing{}); err != nil {
			t.Fatal(err)
		}
	}
	for key, want := range map[string]string{
		"blobs/sha256/" + lockfile.DigestOf(data).String(): "data",
		"locks/" + digest: string(lock.Format()),
		"locks/mine":      string(lock.Format()),
	} {
		got, err := os.ReadFile(filepath.Join(s.folder, "layout/a/b", key))
		if err != nil || string(got) != want {
			t.Errorf("%s has %q, error %v", key, got, err)
		}
	}
	// A lock that is named by its digest is checked, another one is not.
	c.Lock = digest
	if _, text, err := open(t, c).Lock(context.Background()); err != nil || !bytes.Equal(text, lock.Format()) {
		t.Errorf("by digest: %q, error %v", text, err)
	}
	if err := os.WriteFile(filepath.Join(s.folder, "layout/a/b/locks", digest), []byte("# samebits lock v1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := open(t, c).Lock(context.Background()); !errors.As(err, new(*lockfile.DigestError)) {
		t.Errorf("a forged lock: %v", err)
	}
	c.Lock = "none"
	if _, _, err := open(t, c).Lock(context.Background()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a lock that is not there: %v", err)
	}
	c.Lock = ""
	if _, _, err := open(t, c).Lock(context.Background()); err == nil || !strings.Contains(err.Error(), "lock=NAME") {
		t.Errorf("no lock: %v", err)
	}
}

// testLarge sends a file in parts, and not again.
func testLarge(t *testing.T, s store) {
	if testing.Short() {
		t.Skip("sends 65 MB")
	}
	b := open(t, s.config(t, "large", ""))
	data := fetchtest.Data(1, maxSingle+partSize/2)
	sink := sinkOf(t, b)
	if !put(t, sink, "large.deb", data) || put(t, sink, "large.deb", data) {
		t.Error("a large file is to be sent once")
	}
	req := fetch.Request{Entry: lockfile.Entry{Digest: lockfile.DigestOf(data)}, Offset: 20 << 20}
	got, body, err := read(b, req)
	if err != nil || body.Offset != req.Offset || body.Size != int64(len(data)) || !bytes.Equal(got, data[req.Offset:]) {
		t.Errorf("%d bytes come back, error %v", len(got), err)
	}
}

// testChanged puts another object under the key of a file: one of another
// length, or with another checksum, is replaced.
func testChanged(t *testing.T, s store) {
	c := s.config(t, "changed", "")
	b := open(t, c)
	f := file("a.deb", fetchtest.Data(1, 5000))
	sink := sinkOf(t, b)
	for name, other := range map[string][]byte{"shorter": fetchtest.Data(2, 4000), "as long": fetchtest.Data(3, 5000)} {
		err := sink.upload(context.Background(), b.config.blobKey(f.Entry.Digest), lockfile.DigestOf(other), int64(len(other)), bytes.NewReader(other))
		if err != nil {
			t.Fatal(err)
		}
		_, body, err := read(b, fetch.Request{Entry: f.Entry})
		if err != nil {
			t.Fatal(err)
		}
		if sent, err := sink.Put(context.Background(), f); err != nil || !sent {
			t.Errorf("%s: sent %v, error %v", name, sent, err)
		}
		got, again, err := read(b, fetch.Request{Entry: f.Entry, Offset: 4500, Validator: body.Validator})
		if err != nil || again.Offset != 0 || lockfile.DigestOf(got) != f.Entry.Digest {
			t.Errorf("%s: %d bytes from %d after the object changed, error %v", name, len(got), again.Offset, err)
		}
	}
}

// testWrong sends bytes that are not those of the key: the store refuses them.
func testWrong(t *testing.T, s store) {
	b := open(t, s.config(t, "wrong", ""))
	f := file("a.deb", fetchtest.Data(1, 5000))
	bad := f
	bad.Open = file("a.deb", fetchtest.Data(2, 5000)).Open
	if sent, err := sinkOf(t, b).Put(context.Background(), bad); err == nil {
		t.Errorf("sent %v and no error", sent)
	}
	if _, _, err := read(b, fetch.Request{Entry: f.Entry}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the wrong bytes are there: error %v", err)
	}
}

// testRefused tells what is wrong.
func testRefused(t *testing.T, s store) {
	good := s.config(t, "refused", "")
	for name, c := range map[string]struct {
		change      func(*Config)
		read, write string
	}{
		"wrong secret": {func(c *Config) { c.Login = &Login{"testkey", "wr0ng", ""} }, "check the keys", "check the keys"},
		"unknown key":  {func(c *Config) { c.Login = &Login{"nobody", "wr0ng", ""} }, "check the keys", "check the keys"},
		"no keys":      {func(c *Config) { c.Login = nil }, "may want keys", "may want keys"},
		"no bucket":    {func(c *Config) { c.Bucket = "none-such" }, "there is no bucket none-such", "create it first"},
	} {
		t.Run(name, func(t *testing.T) {
			config := good
			c.change(&config)
			b := open(t, config)
			_, _, err := read(b, fetch.Request{Entry: lockfile.Entry{Digest: lockfile.DigestOf([]byte("x"))}})
			if !fetch.IsPermanent(err) || !strings.Contains(err.Error(), c.read) {
				t.Errorf("reading: error %v, want a permanent one with %q", err, c.read)
			}
			_, err = sinkOf(t, b).Put(context.Background(), file("x", []byte("x")))
			if !fetch.IsPermanent(err) || !strings.Contains(err.Error(), c.write) {
				t.Errorf("writing: error %v, want a permanent one with %q", err, c.write)
			}
			if strings.Contains(err.Error(), "wr0ng") {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

// testSharing reads without keys: at a URL that was signed for it, and from a
// bucket that is open to all.
func testSharing(t *testing.T, s store) {
	c := s.config(t, "sharing", "p")
	b := open(t, c)
	data := fetchtest.Data(1, 3000)
	put(t, sinkOf(t, b), "a.deb", data)
	entry := lockfile.Entry{Digest: lockfile.DigestOf(data)}

	u, err := b.Presign(context.Background(), entry.Digest, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(u.String())
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("the signed URL gives %s, %d bytes, error %v", resp.Status, len(got), err)
	}
	c.Login = nil
	if u, err := open(t, c).Presign(context.Background(), entry.Digest, time.Hour); err == nil {
		t.Errorf("signed without keys: %s", u)
	}

	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::sharing/*"}]}`
	if err := b.client.SetBucketPolicy(context.Background(), "sharing", policy); err != nil {
		t.Fatal(err)
	}
	if got, _, err := read(open(t, c), fetch.Request{Entry: entry, Offset: 1000}); err != nil || !bytes.Equal(got, data[1000:]) {
		t.Errorf("without keys: %d bytes, error %v", len(got), err)
	}
}
