package apt

import (
	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/rootfs"
)

// A Config is apt's configuration of one root. All paths in it are relative to
// the root, without a leading slash.
type Config struct {
	// Architectures are those that packages may have, the native one first.
	Architectures []string
	// Repositories are in apt's order, one for each type, URI, suite and set
	// of architectures.
	Repositories []Repository
	// Pins are the entries of apt's preferences, in apt's order.
	Pins []Pin
	// ListsDir holds the indexes that apt fetched, ArchivesDir the packages.
	ListsDir, ArchivesDir string
	// DefaultRelease is APT::Default-Release, empty for none.
	DefaultRelease string
	// Options is the whole of apt.conf and apt.conf.d.
	Options *Options

	logins []login
}

// Native returns the architecture of the root's own programs.
func (c *Config) Native() string {
	if len(c.Architectures) == 0 {
		return ""
	}
	return c.Architectures[0]
}

// A Repository is one suite at one URI, as apt's sources name it.
type Repository struct {
	// URI is the base, with one slash at its end and with the user and
	// password that the file gives. It is what names the lists on disk.
	URI string
	// Mirrors are the URIs at which the repository is had: URI itself, or for
	// "mirror+file:" those that the mirror list names, best first. For
	// "mirror+http(s):" it is empty, since the list must be fetched from URI
	// first (see [ParseMirrorList]).
	Mirrors []string
	// Suite is such as "bookworm" or "bookworm-updates", or ends in a slash
	// for a flat repository ("./", "/" is "/").
	Suite string
	// Components are empty for a flat repository.
	Components []string
	// Architectures are those whose packages are wanted.
	Architectures []string
	// Source says that the entry asks for source packages only ("deb-src").
	Source bool
	// Trust says what may sign it.
	Trust Trust
	// ByHash is the option by-hash: nil to go by the Release file.
	ByHash *bool
	// CheckValidUntil is false where an expired Release is to be accepted.
	CheckValidUntil bool
	// Snapshot is the option snapshot: "", "enable", "disable" or a timestamp.
	Snapshot string
	// File and Line tell where the entry is, for messages.
	File string
	Line int
}

// Flat reports whether the repository has its indexes right below Suite, with
// neither components nor dists/.
func (r *Repository) Flat() bool { return len(r.Suite) > 0 && r.Suite[len(r.Suite)-1] == '/' }

// Trust says what a repository may be signed with.
type Trust struct {
	// Always is "trusted=yes": no signature is needed. Never is "trusted=no".
	Always, Never bool
	// AllowInsecure is "allow-insecure=yes": an absent signature is let pass,
	// but what it would have signed stays untrusted.
	AllowInsecure bool
	// Keyrings are the files with keys, relative to the root, that may sign:
	// those that Signed-By names, else apt's own trusted.gpg and
	// trusted.gpg.d. They are OpenPGP keys, armored or not.
	Keyrings []string
	// Inline are armored keys that stand in the sources themselves.
	Inline []string
	// Fingerprints, where there are any, are the only keys of the above that
	// may sign.
	Fingerprints []Fingerprint
}

// A Fingerprint names a key in upper-case hexadecimal digits. Exact says that
// a signature by a subkey of it does not count.
type Fingerprint struct {
	Hex   string
	Exact bool
}

// A loader is a configuration while it is read.
type loader struct {
	*Config
	root     *rootfs.Root
	events   *distro.Events
	keyrings []string // for repositories that name none
}

// Load reads the configuration of the system below root. A root without apt
// has an empty one.
func Load(root *rootfs.Root, events *distro.Events) (*Config, error) {
	o, err := loadOptions(root)
	if err != nil {
		return nil, err
	}
	l := &loader{Config: &Config{Options: o}, root: root, events: events}
	l.ListsDir = o.File("Dir::State::lists")
	l.ArchivesDir = o.File("Dir::Cache::archives")
	l.DefaultRelease = o.Find("APT::Default-Release")
	if l.Architectures, err = architectures(root, o); err != nil {
		return nil, err
	}
	if l.keyrings, err = trustedKeyrings(root, o); err != nil {
		return nil, err
	}
	for _, load := range []func() error{l.loadSources, l.loadLogins, l.loadPins} {
		if err := load(); err != nil {
			return nil, err
		}
	}
	l.checkProxies()
	return l.Config, nil
}
