package share

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/fetch/s3"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// startS3 runs an S3 server and returns a store in it.
func startS3(t *testing.T, prefix string) *S3 {
	t.Helper()
	address, dir := fetchtest.FreeAddress(t), t.TempDir()
	if err := os.Mkdir(dir+"/team", 0o755); err != nil {
		t.Fatal(err)
	}
	login := &s3.Login{AccessKey: "testkey", SecretKey: "testsecret"}
	cmd := exec.Command(fetchtest.Program(t, "versitygw"), "--quiet", "--port", address, "posix", dir)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+login.AccessKey, "ROOT_SECRET_KEY="+login.SecretKey)
	fetchtest.Start(t, cmd, fetchtest.Listens(address))
	s, err := OpenS3(web.NewClient(web.Config{}), s3.Config{Bucket: "team", Prefix: prefix, Endpoint: address, PlainHTTP: true, Login: login})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMemory(t *testing.T) { conform(t, &Memory{}) }

func TestS3(t *testing.T) {
	for _, prefix := range []string{"", "team/mirror+~1"} {
		t.Run(prefix, func(t *testing.T) { conform(t, startS3(t, prefix)) })
	}
}

// conform holds a store to what Store says.
func conform(t *testing.T, s Store) {
	ctx := context.Background()
	for range 2 {
		if err := Probe(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.Get(ctx, "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
	if _, err := s.Put(ctx, "none", nil, `"11111111111111111111111111111111"`); !errors.Is(err, ErrConflict) {
		t.Errorf("replacing what is not there: %v", err)
	}
	const key = "roots/a%2Fb/dists%2Fx%2FInRelease.json"
	first, err := s.Put(ctx, key, []byte("1"), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, key, []byte("2"), ""); !errors.Is(err, ErrConflict) {
		t.Errorf("creating what is there: %v", err)
	}
	second, err := s.Put(ctx, key, []byte("2"), first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, key, []byte("3"), first); !errors.Is(err, ErrConflict) {
		t.Errorf("replacing what was replaced: %v", err)
	}
	if data, tag, err := s.Get(ctx, key); err != nil || string(data) != "2" || tag != second {
		t.Errorf("has %q %s, error %v; want 2 %s", data, tag, err, second)
	}
	list, err := s.List(ctx, "roots/")
	if err != nil || len(list) != 1 || list[0].Key != key || list[0].Tag != second || list[0].Size != 1 || time.Since(list[0].Modified).Abs() > time.Hour {
		t.Errorf("lists %v, error %v", list, err)
	}
	conformBlobs(t, s)
	conformRace(t, s)
}

func conformBlobs(t *testing.T, s Store) {
	ctx := context.Background()
	data := fetchtest.Data(1, 5000)
	lock := &lockfile.Lock{Entries: []lockfile.Entry{{Path: "x", Digest: lockfile.DigestOf(data)}}}
	f := fetchtest.Set(lock, map[string][]byte{"x": data}).Files[0]
	if _, err := s.Open(ctx, fetch.Request{Entry: f.Entry}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a blob that is not there: %v", err)
	}
	for range 2 {
		if _, err := s.PutBlob(ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	body, err := s.Open(ctx, fetch.Request{Entry: f.Entry, Offset: 4000})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, data[body.Offset:]) || body.Offset != 4000 {
		t.Errorf("%d bytes from %d, error %v", len(got), body.Offset, err)
	}
	conformDelete(t, s, f.Entry.Digest, f.Size)
}

// conformRace has many writers count up one object: none is lost.
func conformRace(t *testing.T, s Store) {
	ctx := context.Background()
	var wg sync.WaitGroup
	var done atomic.Int64
	for i := range 4 {
		wg.Go(func() {
			for n := 0; n < 5; {
				data, tag, err := s.Get(ctx, "count")
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Error(err)
					return
				}
				_, err = s.Put(ctx, "count", fmt.Appendf(data, "%d.%d ", i, n), tag)
				if err == nil {
					n++
					done.Add(1)
				} else if !errors.Is(err, ErrConflict) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	data, _, err := s.Get(ctx, "count")
	if n := len(strings.Fields(string(data))); err != nil || n != int(done.Load()) {
		t.Errorf("of %d additions %d are there, error %v", done.Load(), n, err)
	}
}

// careless is a store that ignores conditions.
type careless struct{ Memory }

func (c *careless) Put(ctx context.Context, key string, data []byte, was string) (string, error) {
	_, tag, _ := c.Get(ctx, key)
	return c.Memory.Put(ctx, key, data, tag)
}

func TestAStoreThatIgnoresConditionsIsRefused(t *testing.T) {
	if err := Probe(context.Background(), &careless{}); !errors.Is(err, ErrUnconditional) {
		t.Errorf("got %v", err)
	}
	gone := errors.New("gone")
	m := &Memory{}
	m.Break(gone)
	if err := Probe(context.Background(), m); !errors.Is(err, gone) || errors.Is(err, ErrUnconditional) {
		t.Errorf("a store that is away: %v", err)
	}
}

func FuzzParseList(f *testing.F) {
	f.Add([]byte("<ListBucketResult><Contents><Key>p/a</Key><Size>3</Size></Contents></ListBucketResult>"))
	f.Add([]byte("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		out, _, err := parseList(data, "p/")
		if err != nil && out != nil {
			t.Error("both a list and an error")
		}
		for _, o := range out {
			if o.Size < 0 {
				t.Error("a negative size")
			}
		}
	})
}
