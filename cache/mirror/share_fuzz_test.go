package mirror

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/samebits/samebits/lockfile"
)

const someSet = `{"prefix":"debian","root":"dists/one/InRelease","files":[{"path":"dists/one/InRelease","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":1}],"stamp":"2026-11-21T03:30:00Z","adopted":"2026-11-21T03:30:00Z","archive":"a","date":"2026-11-21T03:30:00Z","signed":true}`

// A set is the one of its name or none.
func FuzzParseRecord(f *testing.F) {
	rec := &record{}
	if err := json.Unmarshal([]byte(someSet), rec); err != nil {
		f.Fatal(err)
	}
	f.Add(rec.id(), []byte(someSet))
	f.Add(rec.id(), []byte(someSet[:40]))
	f.Fuzz(func(t *testing.T, id string, data []byte) {
		rec, err := parseRecord(id, data)
		if err != nil {
			return
		}
		again, _ := json.Marshal(rec)
		if other, err := parseRecord(id, again); err != nil || other.id() != id {
			t.Errorf("%v: another set", err)
		}
	})
}

// A root names a set, and files that are within an archive.
func FuzzParseRoot(f *testing.F) {
	f.Add([]byte(`{"current":"0123456789abcdef0123456789abcdef","used":{"main/binary-amd64/Packages.xz":"2026-11-21"}}`))
	f.Add([]byte(`{"current":"../x","used":{"/etc/passwd":"2026-11-21"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		sr, err := parseRoot(data)
		if err != nil {
			return
		}
		if !isSetID(sr.Current) || len(sr.Used) > maxUsed {
			t.Errorf("%+v", sr)
		}
		for path := range sr.Used {
			if err := lockfile.CheckPath(path); err != nil {
				t.Error(err)
			}
		}
	})
}

// The key of a root is read as it is written.
func FuzzRootKeys(f *testing.F) {
	f.Add("debian", "dists/one/InRelease")
	f.Add("a/b%2F", "x%")
	f.Fuzz(func(t *testing.T, prefix, path string) {
		r := &root{up: &upstream{Upstream: Upstream{Prefix: prefix}}, path: path}
		p, q, ok := parseRootKey(rootKey(r))
		if lockfile.CheckPath(path) == nil && (!ok || p != prefix || q != path) {
			t.Errorf("%s is read as %q %q", rootKey(r), p, q)
		}
		if _, path, ok := parseRootKey(path); ok && lockfile.CheckPath(path) != nil {
			t.Errorf("%q", path)
		}
	})
}

// A frozen state is of the time that it is named by.
func FuzzParseSnapshot(f *testing.F) {
	f.Add("20261121T033000Z", []byte(`{"time":"2026-11-21T03:30:00Z","sets":[{"prefix":"debian","root":"x","id":"0123456789abcdef0123456789abcdef"}]}`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		snap, err := parseSnapshot(name, data)
		if err == nil && (snap.Time.Format(timestampForm) != name || len(snap.Sets) > maxFrozen) {
			t.Errorf("%q is of %s", name, snap.Time)
		}
	})
}

func FuzzParseUpkeep(f *testing.F) {
	f.Add([]byte(`{"began":"2026-11-21T03:30:00Z"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = parseUpkeep(data)
	})
}

// Lines are read as they are written, and each package of a segment once.
func FuzzSharedLines(f *testing.F) {
	f.Add([]byte(strings.Repeat("0", 64) + " 1 20261121T033000Z debian debian pool/a a 1 amd64\n"))
	f.Add([]byte(strings.Repeat("0", 64) + " " + strings.Repeat("1", 64) + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		seen := map[string]bool{}
		for _, s := range parseHistory(data) {
			if again, ok := parseSeen(s.line()); !ok || again.Path != s.Path || seen[string(s.pathKey())] {
				t.Errorf("%+v is not read as it is written, or twice", s)
			}
			seen[string(s.pathKey())] = true
		}
		for line := range strings.Lines(string(data)) {
			parseIdentity(line)
		}
	})
}
