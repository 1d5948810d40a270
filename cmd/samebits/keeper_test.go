package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro/debian/snapshot/snapshottest"
	"github.com/samebits/samebits/lockfile"
)

// A snapshot archive has a file that was dropped before the lock's date only at
// earlier times. It is asked when it first saw the file.
func TestFetchDroppedFileFromSnapshot(t *testing.T) {
	dropped := snapshottest.Deb{Name: "hello", Version: "1:2.10-2", Arch: "amd64"}
	seen := time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	server := snapshottest.NewServer(t)
	server.Add("debian", seen, archiveWith(t, dropped))
	server.Add("debian", seen.AddDate(0, 6, 0), archiveWith(t))
	server.AddVersions(dropped.Name, "1:2.10-1", dropped.Version)
	server.AddBinary(dropped.Name, dropped.Version, snapshottest.BinFiles("debian", seen, dropped))

	lock := &lockfile.Lock{
		Date:    seen.AddDate(1, 0, 0),
		Entries: []lockfile.Entry{{Digest: dropped.Digest(), Path: dropped.Path(), Archive: lockfile.Archive{Name: "Debian"}}},
	}
	name := filepath.Join(t.TempDir(), "SHA256SUMS")
	if err := os.WriteFile(name, lock.Format(), 0o666); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	p := &program{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, getenv: func(string) string { return "" }}
	code := p.run(context.Background(), []string{"lock", "fetch", "--no-snapshot", "--cache", t.TempDir(),
		"--source", server.URL + "/archive/debian/{{.Timestamp}}/{{.Path}}", name})
	if code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", code, &stderr, strings.Join(server.Requests(), "\n"))
	}
	if !strings.Contains(stderr.String(), "keeps old versions") {
		t.Errorf("nobody is told that an archive for everyone was asked:\n%s", &stderr)
	}
	if server.Parallel() > 1 {
		t.Errorf("%d requests at once to a snapshot archive", server.Parallel())
	}
}

// archiveWith returns the root of an archive that has the files.
func archiveWith(t *testing.T, debs ...snapshottest.Deb) string {
	t.Helper()
	root := t.TempDir()
	for _, d := range debs {
		name := filepath.Join(root, filepath.FromSlash(d.Path()))
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(d.Name+" "+d.Version+" "+d.Arch), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
