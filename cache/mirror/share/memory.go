package share

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// Memory is a Store in memory, for tests.
type Memory struct {
	mu      sync.Mutex
	objects map[string][]byte
	broken  error
}

// Break has all requests fail with err from now on; nil mends it.
func (m *Memory) Break(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = err
}

func tagOf(data []byte) string { return `"` + lockfile.DigestOf(data).String() + `"` }

func (m *Memory) Name() string { return "memory" }

func (m *Memory) Serves(lockfile.Entry) bool { return true }

func blobKey(d lockfile.Digest) string { return "blobs/sha256/" + d.String() }

func (m *Memory) Open(ctx context.Context, req fetch.Request) (*fetch.Body, error) {
	data, tag, err := m.Get(ctx, blobKey(req.Entry.Digest))
	if err != nil {
		return nil, err
	}
	at := min(req.Offset, int64(len(data)))
	return &fetch.Body{ReadCloser: io.NopCloser(bytes.NewReader(data[at:])), Offset: at, Size: int64(len(data)), Validator: tag}, nil
}

func (m *Memory) PutBlob(ctx context.Context, f fetch.File) error {
	r, err := f.Open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(blobKey(f.Entry.Digest), data)
	return m.broken
}

func (m *Memory) put(key string, data []byte) {
	if m.objects == nil {
		m.objects = map[string][]byte{}
	}
	if m.broken == nil {
		m.objects[key] = bytes.Clone(data)
	}
}

func (m *Memory) Get(_ context.Context, key string) ([]byte, string, error) {
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
			out = append(out, Object{key, tagOf(data), int64(len(data))})
		}
	}
	slices.SortFunc(out, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	return out, m.broken
}
