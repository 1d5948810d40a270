package mirror

import (
	"sync"

	"github.com/samebits/samebits/lockfile"
)

// maxVerified bounds the memory of roots that were found to be good.
const maxVerified = 256

// verified remembers what a Format has found to be good: a root that upstream
// has not changed need not be read and checked every minute.
type verified struct {
	mu sync.Mutex
	m  map[lockfile.Digest]bool
}

// once calls check unless it has returned nil for the same files before.
func (v *verified) once(check func() error, files ...[]byte) error {
	var all []byte
	for _, f := range files {
		d := lockfile.DigestOf(f)
		all = append(all, d[:]...)
	}
	key := lockfile.DigestOf(all)
	v.mu.Lock()
	known := v.m[key]
	v.mu.Unlock()
	if known {
		return nil
	}
	if err := check(); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.m == nil || len(v.m) >= maxVerified {
		v.m = map[lockfile.Digest]bool{}
	}
	v.m[key] = true
	return nil
}
