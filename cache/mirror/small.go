package mirror

import (
	"sync"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// maxSmall bounds the memory of smallBlobs, in bytes.
const maxSmall = 16 << 20

// smallBlobs holds small files that were served lately in memory: to open one
// costs more than to send it. An entry is let go after touchEvery, so that the
// time of a blob's last use is kept on disk too.
type smallBlobs struct {
	mu    sync.RWMutex
	m     map[lockfile.Digest]smallBlob
	bytes int
}

type smallBlob struct {
	data []byte // never changed
	at   time.Time
}

func (s *smallBlobs) get(d lockfile.Digest) []byte {
	s.mu.RLock()
	b, ok := s.m[d]
	s.mu.RUnlock()
	if !ok || time.Since(b.at) > touchEvery {
		return nil
	}
	return b.data
}

func (s *smallBlobs) put(d lockfile.Digest, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.m[d]; ok {
		s.bytes -= len(old.data)
	}
	if s.m == nil || s.bytes+len(data) > maxSmall {
		s.m, s.bytes = map[lockfile.Digest]smallBlob{}, 0
	}
	s.m[d] = smallBlob{data, time.Now()}
	s.bytes += len(data)
}
