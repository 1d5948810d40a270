package arch

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"strings"
	"sync"

	"github.com/samebits/samebits/distro/arch/trust"
)

// keyringDir is where keyring packages put what pacman-key is to trust.
const keyringDir = "usr/share/pacman/keyrings"

// maxKeyring bounds one file of keys, in bytes. That of Arch has 1.3 MB.
const maxKeyring = 64 << 20

// lazyKeys returns a function that reads the root's keyring once.
func (s *System) lazyKeys() func() (*trust.Keyring, error) { return sync.OnceValues(s.loadKeys) }

// loadKeys reads what the root itself trusts: the keyring of pacman's gpg and,
// where pacman-key has not made one, the keyrings of the distribution.
func (s *System) loadKeys() (*trust.Keyring, error) {
	own, err := s.readFiles(s.Config.GPGDir, "pubring.gpg", "pubring.kbx", "trustdb.gpg")
	if err != nil {
		return nil, err
	}
	if own["pubring.gpg"] != nil || own["pubring.kbx"] != nil {
		keys, err := trust.LoadGnuPG(own)
		if err != nil {
			return nil, fmt.Errorf("the keyring in %s: %w", s.Config.GPGDir, err)
		}
		return keys, nil
	}
	entries, err := s.Files.ReadDir(keyringDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has no keyring, neither pacman's own in %s nor that of a distribution in /%s", s.Root, s.Config.GPGDir, keyringDir)
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	files, err := s.readFiles(keyringDir, names...)
	if err != nil {
		return nil, err
	}
	return trust.Load(files)
}

// readFiles reads those files of a directory of the root that are there.
func (s *System) readFiles(dir string, names ...string) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, name := range names {
		data, err := s.Files.ReadFile(path.Join(dir, name), maxKeyring)
		switch {
		case err == nil:
			out[name] = data
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	return out, nil
}

// filePath returns the path of a file: URL.
func filePath(rawURL string) (string, bool) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "file" {
		return "", false
	}
	return u.Path, true
}

// withoutLogin is a URL for people: without user and password.
func withoutLogin(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "an unreadable URL"
	}
	u.User = nil
	return strings.TrimRight(u.String(), "/")
}
