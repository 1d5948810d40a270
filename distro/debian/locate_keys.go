package debian

import (
	"fmt"
	"sync"

	"github.com/samebits/samebits/distro/debian/apt"
	"github.com/samebits/samebits/distro/debian/archive"
	"github.com/samebits/samebits/distro/rootfs"
)

// maxKeyring bounds a keyring file, in bytes. Debian's has 56 kB.
const maxKeyring = 16 << 20

// A keyrings reads each keyring of a root once. It may be used concurrently.
type keyrings struct {
	files *rootfs.Root
	warn  func(string)

	mu   sync.Mutex
	read map[string]func() *archive.Keys
}

func newKeyrings(files *rootfs.Root, warn func(string)) *keyrings {
	return &keyrings{files: files, warn: warn, read: map[string]func() *archive.Keys{}}
}

// of returns the keys that may sign what t is said of.
func (k *keyrings) of(t apt.Trust) *archive.Keys {
	var all []*archive.Keys
	for _, name := range t.Keyrings {
		all = append(all, k.file(name)())
	}
	for _, text := range t.Inline {
		all = append(all, k.parse("a key in apt's sources", []byte(text)))
	}
	keys := archive.Join(all...)
	if len(t.Fingerprints) == 0 {
		return keys
	}
	var names []string
	for _, f := range t.Fingerprints {
		name := f.Hex
		if f.Exact {
			name += "!"
		}
		names = append(names, name)
	}
	return keys.Only(names...)
}

func (k *keyrings) file(name string) func() *archive.Keys {
	k.mu.Lock()
	defer k.mu.Unlock()
	f, ok := k.read[name]
	if !ok {
		f = sync.OnceValue(func() *archive.Keys {
			data, err := k.files.ReadFile(name, maxKeyring)
			if err != nil {
				k.warn(fmt.Sprintf("keyring /%s: %v; indexes that only its keys sign are not used", name, err))
				return nil
			}
			return k.parse("keyring /"+name, data)
		})
		k.read[name] = f
	}
	return f
}

// parse reads keys. An empty file is a keyring without keys: apt's own
// trusted.gpg is often one.
func (k *keyrings) parse(what string, data []byte) *archive.Keys {
	if len(data) == 0 {
		return nil
	}
	keys, err := archive.ReadKeys(data)
	if err != nil {
		k.warn(fmt.Sprintf("%s: %v; indexes that only its keys sign are not used", what, err))
		return nil
	}
	return keys
}
