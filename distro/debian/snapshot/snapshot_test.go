package snapshot_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/snapshot"
	"github.com/samebits/samebits/distro/debian/snapshot/snapshottest"
	"github.com/samebits/samebits/lockfile"
)

func TestNewService(t *testing.T) {
	at := time.Date(2024, 2, 3, 4, 5, 6, 0, time.FixedZone("", 3600))
	for _, c := range []struct{ url, base, name, host, api string }{
		{"http://snapshot.debian.org/archive/debian-security/{{.Timestamp}}/{{.Path}}",
			"http://snapshot.debian.org/archive/debian-security/20240203T030506Z/", "debian-security", "snapshot.debian.org", "http://snapshot.debian.org/mr/"},
		{"https://snapshot.ubuntu.com/ubuntu/{{.Timestamp}}/{{.Path}}",
			"https://snapshot.ubuntu.com/ubuntu/20240203T030506Z/", "ubuntu", "snapshot.ubuntu.com", ""},
		{"http://mirror.example:8080/s/archive/debian/{{.Timestamp}}/{{.Path}}",
			"http://mirror.example:8080/s/archive/debian/20240203T030506Z/", "debian", "mirror.example:8080", "http://mirror.example:8080/s/mr/"},
		{"http://mirror.example/snapshot/{{.Timestamp}}/debian/{{.Path}}",
			"http://mirror.example/snapshot/20240203T030506Z/debian/", "snapshot", "mirror.example", ""},
		{"http://mirror.example/debian/{{.Path}}", "", "", "", ""},
		{"http://mirror.example/{{.Timestamp}}/{{.Basename}}", "", "", "", ""},
		{"http://mirror.example/{{.SHA256}}/{{.Timestamp}}/{{.Path}}", "", "", "", ""},
		{"file:///srv/{{.Timestamp}}/{{.Path}}", "", "", "", ""},
		{"http:///{{.Timestamp}}/{{.Path}}", "", "", "", ""},
	} {
		s, ok := snapshot.NewService(distro.Mirror{Archive: "A", URL: c.url, Keeper: true})
		if ok != (c.base != "") {
			t.Errorf("%s: ok is %v", c.url, ok)
		}
		if !ok {
			continue
		}
		if s.Base(at) != c.base || s.Name() != c.name || s.Host() != c.host || s.API() != c.api || s.Archive != "A" {
			t.Errorf("%s: got %q %q %q %q", c.url, s.Base(at), s.Name(), s.Host(), s.API())
		}
	}
	if _, ok := snapshot.NewService(distro.Mirror{URL: "http://mirror.example/{{.Timestamp}}/{{.Path}}"}); ok {
		t.Error("a mirror that keeps nothing was taken for a snapshot service")
	}
}

func TestBinFiles(t *testing.T) {
	server := snapshottest.NewServer(t)
	deb := snapshottest.Deb{Name: "hello", Version: "1:2.10-3+b1", Arch: "amd64"}
	seen := time.Date(2022, 12, 26, 15, 0, 0, 0, time.UTC)
	server.AddBinary("hello", "1:2.10-3+b1", snapshottest.BinFiles("debian", seen, deb))
	client := snapshot.NewClient(snapshottest.Fetcher{}, 10)
	files, err := client.BinFiles(t.Context(), server.URL+"/mr/", "hello", "1:2.10-3+b1")
	want := snapshot.File{Archive: "debian", Arch: "amd64", Path: "pool/main/h/hello/hello_2.10-3+b1_amd64.deb", Size: 1000, FirstSeen: seen}
	if err != nil || len(files) != 1 || files[0] != want {
		t.Errorf("got %+v, %v", files, err)
	}
	if _, err := client.BinFiles(t.Context(), server.URL+"/mr/", "hello", "2"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an unknown version gave %v", err)
	}
}

func TestBinFilesMoods(t *testing.T) {
	info := func(archive, seen, name, path, size string) string {
		return `{"result":[{"hash":"a","architecture":"amd64"}],"fileinfo":{"a":[{"archive_name":"` + archive + `","first_seen":"` +
			seen + `","name":"` + name + `","path":"` + path + `","size":` + size + `}]}}`
	}
	const day = "20220101T000000Z"
	for name, c := range map[string]struct{ answer, want string }{
		"garbage":        {"<html>down for maintenance</html>", "invalid character"},
		"truncated":      {`{"result":[{"hash":`, "unexpected end"},
		"wrong type":     {`{"result":{}}`, "cannot unmarshal"},
		"too long":       {strings.Repeat(" ", 1<<20) + "{}", "more than 1048576 bytes"},
		"bad time":       {info("debian", "yesterday", "a.deb", "/pool", "1"), "first_seen"},
		"archive climbs": {info("../x", day, "a.deb", "/pool", "1"), "archive_name"},
		"path climbs":    {info("debian", day, "a.deb", "/../pool", "1"), "path"},
		"name climbs":    {info("debian", day, "../../a.deb", "/pool", "1"), "path"},
		"line in a name": {info("debian", day, `a\nb`, "/pool", "1"), "path"},
		"negative size":  {info("debian", day, "a.deb", "/pool", "-1"), "negative"},
		"too many": {`{"result":[` + strings.Repeat(`{"hash":"a","architecture":"amd64"},`, 1001) + `{}],` +
			strings.TrimPrefix(info("debian", day, "a.deb", "/pool", "1"), `{"result":[{"hash":"a","architecture":"amd64"}],`), "more than 1000"},
		"no information": {`{"result":[{"hash":"a","architecture":"amd64"}]}`, ""},
		"null":           {`null`, ""},
	} {
		server := snapshottest.NewServer(t)
		server.AddBinary("a", "1", c.answer)
		files, err := snapshot.NewClient(snapshottest.Fetcher{}, 1).BinFiles(t.Context(), server.URL+"/mr/", "a", "1")
		switch {
		case c.want == "" && (err != nil || len(files) > 0):
			t.Errorf("%s: got %v, %v", name, files, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "/mr/binary/a/1/binfiles")):
			t.Errorf("%s: got error %v, want one with %q and the URL", name, err, c.want)
		}
	}
}

func TestClientLimit(t *testing.T) {
	server := snapshottest.NewServer(t)
	client := snapshot.NewClient(snapshottest.Fetcher{}, 3)
	for range 2 {
		if _, err := client.Get(t.Context(), server.URL+"/x"); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	_, err := client.Blob(t.Context(), lockfile.Digest{1}, -1, server.URL+"/y", server.URL+"/z")
	if !errors.Is(err, snapshot.ErrLimit) {
		t.Errorf("beyond the limit: %v", err)
	}
	if got := len(server.Requests()); got != 3 || client.Asked() != 3 {
		t.Errorf("%d requests arrived and %d were counted, with a limit of 3", got, client.Asked())
	}
}

func TestClientAsksOneAtATime(t *testing.T) {
	server := snapshottest.NewServer(t)
	server.Mood = func(http.ResponseWriter, *http.Request) bool {
		time.Sleep(2 * time.Millisecond) // so that requests overlap if they can
		return false
	}
	client := snapshot.NewClient(snapshottest.Fetcher{}, 100)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, _ = client.Get(context.Background(), server.URL+"/x")                        // not found
			_, _ = client.Blob(context.Background(), lockfile.Digest{}, 1, server.URL+"/y") // not found
		})
	}
	wg.Wait()
	if server.Parallel() != 1 {
		t.Errorf("%d requests were under way at once", server.Parallel())
	}
}

func TestClientBoundsAnswers(t *testing.T) {
	server := snapshottest.NewServer(t)
	server.Mood = func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = w.Write(make([]byte, 16<<20+1)) // the client may be gone
		return true
	}
	if _, err := snapshot.NewClient(snapshottest.Fetcher{}, 1).Get(t.Context(), server.URL+"/x"); err == nil || !strings.Contains(err.Error(), "more than 16777216 bytes") {
		t.Errorf("got %v", err)
	}
}

func TestClientBlobPrefersPlainNames(t *testing.T) {
	server := snapshottest.NewServer(t)
	dir, at := t.TempDir(), time.Date(2022, 1, 1, 0, 0, 0, 0, time.UTC)
	if err := os.WriteFile(filepath.Join(dir, "Packages"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	server.Add("debian", at, dir)
	service, _ := snapshot.NewService(server.Mirror("Debian", "debian"))
	base := service.Base(at.Add(time.Hour))
	body, err := snapshot.NewClient(snapshottest.Fetcher{}, 5).Blob(t.Context(), lockfile.DigestOf([]byte("x")), 1,
		base+"by-hash/SHA256/00", base+"Packages")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if data, err := io.ReadAll(body); err != nil || string(data) != "x" {
		t.Errorf("got %q, %v", data, err)
	}
	want := []string{"/archive/debian/20220101T010000Z/Packages", "/archive/debian/20220101T000000Z/Packages"}
	if got := server.Requests(); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

func TestSeenAt(t *testing.T) {
	server := snapshottest.NewServer(t)
	deb := snapshottest.Deb{Name: "hello", Version: "1:2.10-3", Arch: "amd64"}
	seen := time.Date(2022, 12, 26, 15, 0, 0, 0, time.UTC)
	server.AddBinary("hello", "1:2.10-3", snapshottest.BinFiles("debian", seen, deb))
	server.AddVersions("hello", "1:2.10-2", "1:2.10-3")
	service, _ := snapshot.NewService(server.Mirror("Debian", "debian"))
	security, _ := snapshot.NewService(server.Mirror("", "debian-security"))
	plain, _ := snapshot.NewService(distro.Mirror{Keeper: true, URL: server.URL + "/debian/{{.Timestamp}}/{{.Path}}"})
	client := snapshot.NewClient(snapshottest.Fetcher{}, 20)
	if got, err := client.SeenAt(t.Context(), service, deb.Path()); err != nil || !got.Equal(seen) {
		t.Errorf("got %s, %v", got, err)
	}
	for name, c := range map[string]struct {
		service *snapshot.Service
		path    string
	}{
		"another archive":    {security, deb.Path()},
		"another directory":  {service, "pool/contrib/h/hello/hello_2.10-3_amd64.deb"},
		"another version":    {service, "pool/main/h/hello/hello_2.10-1_amd64.deb"},
		"an unknown package": {service, "pool/main/n/none/none_1_amd64.deb"},
		"not a package":      {service, "pool/README"},
		"no interface":       {plain, deb.Path()},
	} {
		if at, err := client.SeenAt(t.Context(), c.service, c.path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: got %s, %v", name, at, err)
		}
	}
	server.Mood = func(w http.ResponseWriter, _ *http.Request) bool {
		_, _ = w.Write([]byte("<html>")) // the client may be gone
		return true
	}
	if _, err := client.SeenAt(t.Context(), service, deb.Path()); err == nil || !strings.Contains(err.Error(), "/mr/binary/hello/ cannot be used") {
		t.Errorf("garbage gave %v", err)
	}
}
