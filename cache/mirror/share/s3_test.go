package share

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/samebits/samebits/fetch/s3"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// answering returns a store that answers all requests alike.
func answering(t *testing.T, status int, body string) *S3 {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"tag"`)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	s, err := OpenS3(web.NewClient(web.Config{}), s3.Config{Bucket: "team", Endpoint: strings.TrimPrefix(server.URL, "http://"), PlainHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What a store answers is told apart, and said with what helps.
func TestAnswersOfS3(t *testing.T) {
	kinds := []error{fs.ErrNotExist, ErrConflict, ErrUnconditional, ErrTooLarge}
	for _, c := range []struct {
		status     int
		body, says string
		is         error
	}{
		{404, "<Error><Code>NoSuchKey</Code></Error>", "", fs.ErrNotExist},
		{404, "<Error><Code>NoSuchBucket</Code></Error>", "create the bucket first", nil},
		{412, "", "", ErrConflict},
		{409, "<Error><Code>ConditionalRequestConflict</Code></Error>", "", ErrConflict},
		{501, "<Error><Code>NotImplemented</Code></Error>", "", ErrUnconditional},
		{403, "<Error><Code>Access\x1b[31mDenied</Code></Error>", "check the keys", nil},
		{500, "<html>", "500", nil},
		{301, "", "301", nil},
		{200, strings.Repeat("x", MaxObject+1), "larger", ErrTooLarge},
	} {
		s := answering(t, c.status, c.body)
		_, tag, err := s.Get(context.Background(), "pulse")
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.ContainsRune(err.Error(), 0x1b) {
			t.Errorf("%d: %v", c.status, err)
		}
		for _, kind := range kinds {
			if errors.Is(err, kind) != (kind == c.is) {
				t.Errorf("%d is taken for %v: %v", c.status, kind, err)
			}
		}
		if c.is == ErrTooLarge && tag == "" {
			t.Error("what is too large has no tag to replace it by")
		}
	}
}

// A list that is none, or that says that it goes on and not where, is refused.
func TestBadListsOfS3(t *testing.T) {
	for _, body := range []string{"", "<html/>", "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"} {
		if list, err := answering(t, 200, body).List(context.Background(), "pins/"); err == nil {
			t.Errorf("%q is the list %v", body, list)
		}
	}
}

// conformDelete holds a store to what it says of sizes and of deleting.
func conformDelete(t *testing.T, s Store, d lockfile.Digest, size int64) {
	ctx := context.Background()
	if got, err := s.Size(ctx, d); err != nil || got != size {
		t.Errorf("a blob of %d bytes has %d, error %v", size, got, err)
	}
	for range 2 {
		if err := s.Delete(ctx, BlobKey(d)); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	if _, err := s.Size(ctx, d); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the size of what was deleted: %v", err)
	}
}
