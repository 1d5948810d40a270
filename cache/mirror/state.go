package mirror

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/lockfile"
)

// The layout of a state directory, version 1.
const (
	stateVersion  = "samebits mirror 1\n"
	versionFile   = "version"
	lockName      = "lock"
	setsDir       = "sets"      // <id>.json, never changed
	rootsDir      = "roots"     // <prefix>/<root>.json, replaced
	snapshotsDir  = "snapshots" // <timestamp>.json, never changed
	indexDir      = "index"     // derived: can be deleted
	partialDir    = "partial"   // files known by an identity, on their way
	journalFile   = "journal"
	historyFile   = "history"
	historyIndex  = "history.db" // derived: can be deleted
	identityFile  = "identities"
	timestampForm = "20060102T150405Z"
)

// state is the directory with all that the mirror keeps beside blobs. Every
// file in it is either replaced by rename or grows by whole lines.
type state struct {
	dir  string
	lock *os.File
	// closed keeps requests that outlive their Mirror from writing into the
	// state of the next one.
	closed atomic.Bool
}

func openState(dir string) (*state, error) {
	for _, d := range []string{setsDir, rootsDir, snapshotsDir, indexDir, partialDir} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, fmt.Errorf("open the mirror's state: %w", err)
		}
	}
	s := &state{dir: dir}
	lock, err := os.OpenFile(s.path(lockName), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the mirror's state: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("another mirror uses the state in %s; stop it or choose another directory: %w", dir, err)
	}
	s.lock = lock
	if err := s.checkVersion(); err != nil {
		lock.Close()
		return nil, err
	}
	return s, nil
}

func (s *state) checkVersion() error {
	b, err := os.ReadFile(s.path(versionFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s.replace(versionFile, []byte(stateVersion))
	}
	if err != nil {
		return err
	}
	if string(b) != stateVersion {
		return fmt.Errorf("%s says %q and this samebits knows %q; use a newer samebits or another directory", s.path(versionFile), bytes.TrimSpace(b), strings.TrimSpace(stateVersion))
	}
	return nil
}

func (s *state) close() error {
	s.closed.Store(true)
	return s.lock.Close()
}

func (s *state) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// replace writes a file that is either the old or the new one after a crash.
func (s *state) replace(name string, data []byte) error {
	if s.closed.Load() {
		return fmt.Errorf("write %s: the mirror is closed: %w", name, os.ErrClosed)
	}
	path := s.path(name)
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *state) writeJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return s.replace(name, append(b, '\n'))
}

func (s *state) readJSON(name string, v any) error {
	b, err := os.ReadFile(s.path(name))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", s.path(name), err)
	}
	return nil
}

// A record is a set as it is kept: the files that its root consists of. What
// these name is read out of them again when it is needed.
type record struct {
	Prefix string     `json:"prefix"`
	Root   string     `json:"root"`
	Files  []rootFile `json:"files"`
	// Stamp is the Last-Modified of the root's files: that of one set of a
	// root is later than that of the one before, by a second at least.
	Stamp   time.Time `json:"stamp"`
	Adopted time.Time `json:"adopted"`
	Archive string    `json:"archive"`
	Date    time.Time `json:"date"`
	Signed  bool      `json:"signed"`
}

type rootFile struct {
	Path   string          `json:"path"`
	Digest lockfile.Digest `json:"sha256"`
	Size   int64           `json:"size"`
	// From, ETag and Modified are what upstream is asked with next time.
	From     string `json:"from,omitempty"`
	ETag     string `json:"etag,omitempty"`
	Modified string `json:"modified,omitempty"`
}

// id is the name of a record: it follows from all that is in it.
func (r *record) id() string {
	b, _ := json.Marshal(r)
	return lockfile.DigestOf(b).String()[:32]
}

func (s *state) saveRecord(r *record) (string, error) {
	id := r.id()
	return id, s.writeJSON(setsDir+"/"+id+".json", r)
}

func (s *state) loadRecord(id string) (*record, error) {
	if len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		return nil, fmt.Errorf("%q is not the name of a set", id)
	}
	r := &record{}
	return r, s.readJSON(setsDir+"/"+id+".json", r)
}

// A rootState is which set of a root is current.
type rootState struct {
	Current string    `json:"current"`
	Old     []oldSet  `json:"old,omitempty"` // newest first
	Used    []usedRef `json:"used,omitempty"`
}

type oldSet struct {
	ID    string    `json:"id"`
	Until time.Time `json:"until"` // when it was replaced
}

// A usedRef is a file of the sets that clients ask for: the next set is not
// seen before it has come too.
type usedRef struct {
	Path string    `json:"path"`
	Last time.Time `json:"last"`
}

func rootName(prefix, root string) string {
	return rootsDir + "/" + url.PathEscape(prefix) + "/" + url.PathEscape(root) + ".json"
}

func (s *state) saveRoot(prefix, root string, rs *rootState) error {
	if err := os.MkdirAll(s.path(rootsDir, url.PathEscape(prefix)), 0o755); err != nil {
		return err
	}
	return s.writeJSON(rootName(prefix, root), rs)
}

// loadRoots returns the states of an upstream's roots.
func (s *state) loadRoots(prefix string) (map[string]*rootState, error) {
	entries, err := os.ReadDir(s.path(rootsDir, url.PathEscape(prefix)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string]*rootState{}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		root, err := url.PathUnescape(name)
		if !ok || err != nil || strings.HasPrefix(name, ".new-") || lockfile.CheckPath(root) != nil {
			continue
		}
		rs := &rootState{}
		if err := s.readJSON(rootName(prefix, root), rs); err != nil {
			return nil, err
		}
		out[root] = rs
	}
	return out, nil
}
