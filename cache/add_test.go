package cache

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/samebits/samebits/lockfile"
)

func TestAdd(t *testing.T) {
	c := open(t, t.TempDir())
	const text = "a package of which nobody told the digest"
	accept := func(r io.Reader) error {
		got, err := io.ReadAll(r)
		if string(got) != text {
			t.Errorf("the check was shown %q", got)
		}
		return err
	}
	d, err := c.Add(t.Context(), strings.NewReader(text), int64(len(text)), accept)
	if err != nil || d != lockfile.DigestOf([]byte(text)) {
		t.Fatalf("%v, %v", d, err)
	}
	name, err := c.Path(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != text {
		t.Errorf("it is %q, %v", got, err)
	}
	// Once more, without a check and a bound.
	if again, err := c.Add(t.Context(), strings.NewReader(text), -1, nil); err != nil || again != d {
		t.Errorf("added twice: %v, %v", again, err)
	}
	wantEmpty(t, c, partialDir)
}

func TestAddRefuses(t *testing.T) {
	c := open(t, t.TempDir())
	broken, no := errors.New("broken"), errors.New("not this one")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx   context.Context
		r     io.Reader
		max   int64
		check func(io.Reader) error
		want  error
	}{
		"what the check refuses": {t.Context(), strings.NewReader("text"), -1, func(io.Reader) error { return no }, no},
		"what breaks off":        {t.Context(), io.MultiReader(strings.NewReader("te"), iotest.ErrReader(broken)), -1, nil, broken},
		"what is too large":      {t.Context(), strings.NewReader("text"), 3, nil, ErrTooLarge},
		"what nobody waits for":  {cancelled, strings.NewReader("text"), -1, nil, context.Canceled},
	} {
		if _, err := c.Add(tt.ctx, tt.r, tt.max, tt.check); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		wantEmpty(t, c, partialDir)
		if c.Has(lockfile.DigestOf([]byte("text"))) {
			t.Fatalf("%s is in the cache", name)
		}
	}
}

func TestByName(t *testing.T) {
	c := open(t, t.TempDir())
	one, two := lockfile.DigestOf([]byte("1")), lockfile.DigestOf([]byte("2"))
	err := c.Remember(t.Context(), []lockfile.Entry{{Digest: one, Path: "a/x"}, {Digest: two, Path: "a/x"}, {Digest: two, Path: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.ByName(t.Context())
	if err != nil || len(got) != 2 || len(got["a/x"]) != 2 || !slices.Equal(got["b"], []lockfile.Digest{two}) {
		t.Errorf("%v, %v", got, err)
	}
}
