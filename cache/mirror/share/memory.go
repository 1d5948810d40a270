package share

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// Memory is a Store in memory, for tests.
type Memory struct {
	// Title is what Name returns; empty for "memory".
	Title string

	mu      sync.Mutex
	objects map[string][]byte
	written map[string]time.Time
	broken  error
	limit   int // in place of MaxObject where it is set
}

// Break has all requests fail with err from now on; nil mends it.
func (m *Memory) Break(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = err
}

func tagOf(data []byte) string { return `"` + lockfile.DigestOf(data).String() + `"` }

func (m *Memory) Name() string { return cmp.Or(m.Title, "memory") }

func (m *Memory) Serves(lockfile.Entry) bool { return true }

func (m *Memory) Open(_ context.Context, req fetch.Request) (*fetch.Body, error) {
	data, tag, err := m.get(BlobKey(req.Entry.Digest))
	if err != nil {
		return nil, err
	}
	at := min(req.Offset, int64(len(data)))
	return &fetch.Body{ReadCloser: io.NopCloser(bytes.NewReader(data[at:])), Offset: at, Size: int64(len(data)), Validator: tag}, nil
}

func (m *Memory) PutBlob(ctx context.Context, f fetch.File) (bool, error) {
	if size, err := m.Size(ctx, f.Entry.Digest); err == nil && size == f.Size {
		return false, nil
	}
	r, err := f.Open(ctx)
	if err != nil {
		return false, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(BlobKey(f.Entry.Digest), data)
	return m.broken == nil, m.broken
}

func (m *Memory) Size(_ context.Context, d lockfile.Digest) (int64, error) {
	data, _, err := m.get(BlobKey(d))
	return int64(len(data)), err
}

// Damage writes an object whatever is there; tests do it.
func (m *Memory) Damage(key string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(key, data)
}

// Limit has Get take other objects for too large than those of MaxObject bytes.
func (m *Memory) Limit(bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit = bytes
}

// Age has all objects be written so much earlier.
func (m *Memory) Age(by time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, at := range m.written {
		m.written[key] = at.Add(-by)
	}
}

func (m *Memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken == nil {
		delete(m.objects, key)
	}
	return m.broken
}

func (m *Memory) put(key string, data []byte) {
	if m.objects == nil {
		m.objects, m.written = map[string][]byte{}, map[string]time.Time{}
	}
	if m.broken == nil {
		m.objects[key], m.written[key] = bytes.Clone(data), time.Now()
	}
}

func (m *Memory) Get(_ context.Context, key string) ([]byte, string, error) {
	data, tag, err := m.get(key)
	m.mu.Lock()
	limit := cmp.Or(m.limit, MaxObject)
	m.mu.Unlock()
	if err == nil && len(data) > limit {
		return nil, tag, fmt.Errorf("%s: %w", key, ErrTooLarge)
	}
	return data, tag, err
}

func (m *Memory) get(key string) ([]byte, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.objects[key]
	if m.broken != nil {
		return nil, "", m.broken
	}
	if !ok {
		return nil, "", fmt.Errorf("%s: %w", key, fs.ErrNotExist)
	}
	return bytes.Clone(data), tagOf(data), nil
}

func (m *Memory) Put(_ context.Context, key string, data []byte, was string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.objects[key]
	if m.broken != nil {
		return "", m.broken
	}
	if ok && tagOf(old) != was || !ok && was != "" {
		return "", fmt.Errorf("%s: %w", key, ErrConflict)
	}
	m.put(key, data)
	return tagOf(data), nil
}

func (m *Memory) List(_ context.Context, prefix string) ([]Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Object
	for key, data := range m.objects {
		if strings.HasPrefix(key, prefix) {
			out = append(out, Object{key, tagOf(data), int64(len(data)), m.written[key]})
		}
	}
	slices.SortFunc(out, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	return out, m.broken
}
