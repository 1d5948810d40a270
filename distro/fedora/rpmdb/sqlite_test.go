package rpmdb

import (
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// liveDatabase makes a database with a write-ahead log: one package is in the
// database itself, three are in the log alone, and one of an unfinished
// transaction is nowhere.
func liveDatabase(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(dir, "rpmdb.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	do := func(statement string, args ...any) {
		t.Helper()
		if _, err := db.Exec(statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	do("PRAGMA journal_mode=WAL")
	do("PRAGMA wal_autocheckpoint=0")
	do("PRAGMA synchronous=OFF")
	do("CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)")
	do("INSERT INTO Packages (blob) VALUES (?)", testHeader("old", 0))
	do("PRAGMA wal_checkpoint(TRUNCATE)")
	for _, name := range []string{"new1", "new2", "new3"} {
		do("INSERT INTO Packages (blob) VALUES (?)", testHeader(name, 9000))
	}
	// Pages are spilled into the log before the end of the transaction.
	do("PRAGMA cache_size=1")
	do("BEGIN")
	for range 50 {
		do("INSERT INTO Packages (blob) VALUES (?)", testHeader("unfinished", 9000))
	}
	return dir
}

func copyDatabase(t *testing.T, from string, leaveOut ...string) string {
	t.Helper()
	root := t.TempDir()
	to := filepath.Join(root, "var/lib/rpm")
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		if slices.Contains(leaveOut, suffix) {
			continue
		}
		data, err := os.ReadFile(filepath.Join(from, "rpmdb.sqlite"+suffix))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, "rpmdb.sqlite"+suffix), data, 0o444); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func names(packages []*Package) string {
	var out []string
	for _, p := range packages {
		out = append(out, p.Name)
	}
	return strings.Join(out, " ")
}

func TestWriteAheadLog(t *testing.T) {
	live := liveDatabase(t)
	root := copyDatabase(t, live)
	if got := names(read(t, openRoot(t, root))); got != "old new1 new2 new3" {
		t.Errorf("with the log: %s", got)
	}
	wal := filepath.Join(root, "var/lib/rpm/rpmdb.sqlite-wal")
	data, err := os.ReadFile(wal)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func([]byte) []byte
		want   string
	}{
		{"cut off in its last frame", func(b []byte) []byte { return b[:len(b)-1] }, "old new1 new2 new3"},
		{"cut off in its first frame", func(b []byte) []byte { return b[:500] }, "old"},
		{"emptied", func([]byte) []byte { return nil }, "old"},
		{"zeroed", func(b []byte) []byte { clear(b); return b }, "old"},
		{"of a flipped byte in its first frame", func(b []byte) []byte { b[100]++; return b }, "old"},
		{"of other salts in its head", func(b []byte) []byte { b[16]++; return b }, "old"},
	} {
		rewrite(t, wal, c.change(slices.Clone(data)))
		if got := names(read(t, openRoot(t, root))); got != c.want {
			t.Errorf("a log %s: %s, want %s", c.name, got, c.want)
		}
	}
	if got := names(read(t, openRoot(t, copyDatabase(t, live, "-wal")))); got != "old" {
		t.Errorf("without a log: %s", got)
	}
}

// TestNothingIsWritten holds reading to leave no trace.
func TestNothingIsWritten(t *testing.T) {
	root := copyDatabase(t, liveDatabase(t))
	before := listing(t, root)
	read(t, openRoot(t, root))
	if after := listing(t, root); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func listing(t *testing.T, root string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			out.WriteString(path + " " + info.Mode().String() + " " + info.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestInterruptedChange(t *testing.T) {
	root := copyDatabase(t, liveDatabase(t))
	journal := filepath.Join(root, "var/lib/rpm/rpmdb.sqlite-journal")
	rewrite(t, journal, []byte("\xd9\xd5\x05\xf9\x20\xa1\x63\xd7 and pages"))
	files := openRoot(t, root)
	place, err := Find(files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Read(t.Context(), files, place); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("a journal to play back: %v", err)
	}
	rewrite(t, journal, make([]byte, 512))
	if got := names(read(t, files)); got != "old new1 new2 new3" {
		t.Errorf("a journal that is done with: %s", got)
	}
}

func rewrite(t *testing.T, name string, data []byte) {
	t.Helper()
	os.Remove(name)
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}
