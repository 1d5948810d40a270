package debian

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// kept are files that a cache has, by their identities.
type kept map[string][]byte

func (k kept) Identify(_ context.Context, want distro.Unhashed) (d lockfile.Digest, err error) {
	data, ok := k[want.Identity]
	if !ok || len(want.URLs) > 0 || want.Check(bytes.NewReader(data)) != nil {
		return d, fs.ErrNotExist
	}
	return lockfile.DigestOf(data), nil
}

// broken is a cache that cannot be read.
type broken struct{ asked int }

func (b *broken) Identify(context.Context, distro.Unhashed) (d lockfile.Digest, err error) {
	b.asked++
	return d, errors.New("the disk is gone")
}

// A cache that cannot be read is told of once.
func TestLocateInBrokenCache(t *testing.T) {
	r := debianRoot(t, newKey(t), mirrorA, "")
	r.write("var/lib/dpkg/status", nil)
	var b broken
	r.locate(distro.LocateRequest{Identifier: &b}, thePackage("a", "1", "amd64"), thePackage("c", "1", "amd64"))
	if len(r.warnings) != 1 || !strings.Contains(r.warnings[0], "fetched before are not used: the disk is gone") || b.asked != 1 {
		t.Errorf("asked %d times, warned %q", b.asked, r.warnings)
	}
}

// What nobody offers any more is located among what was fetched before, by what
// the file says of itself, and by the name of its source package.
func TestLocateInOwnCache(t *testing.T) {
	data, other, key := realPackage(t, "1:1-1"), realPackage(t, "2"), newKey(t)
	const status = "Package: a\nStatus: install ok installed\nVersion: 1:1-1\nArchitecture: amd64\nSource: libs (5)\n"
	for name, tt := range map[string]struct {
		packages string
		cache    kept
		want     string
	}{
		"beside another version": {record("a", "2", "amd64", "a2"), kept{"pool/main/a_1-1_amd64.deb": data},
			"#: archive Debian\n#: unsigned\n" + line(string(data), "pool/main/a_1-1_amd64.deb")},
		"by its own name": {"", kept{"pool/main/a/a/a_1-1_amd64.deb": data},
			"#: unsigned\n" + line(string(data), "pool/main/a/a/a_1-1_amd64.deb")},
		"by that of its source": {"", kept{"pool/main/libs/libs/a_1-1_amd64.deb": data},
			"#: unsigned\n" + line(string(data), "pool/main/libs/libs/a_1-1_amd64.deb")},
		"another version under its name": {"", kept{"pool/main/a/a/a_1-1_amd64.deb": other}, "#: missing a 1:1-1 amd64\n"},
		"no package under its name":      {"", kept{"pool/main/a/a/a_1-1_amd64.deb": []byte("text")}, "#: missing a 1:1-1 amd64\n"},
	} {
		t.Run(name, func(t *testing.T) {
			r := debianRoot(t, key, mirrorA, tt.packages)
			r.write("var/lib/dpkg/status", []byte(status))
			got := r.locate(distro.LocateRequest{Identifier: tt.cache}, thePackage("a", "1:1-1", "amd64"))
			wantLock(t, got.Lock, tt.want)
		})
	}
}
