package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// opens is a source of one mood.
type opens func(ctx context.Context) (io.Reader, error)

func (o opens) Name() string               { return "moody" }
func (o opens) Serves(lockfile.Entry) bool { return true }
func (o opens) Open(ctx context.Context, _ fetch.Request) (*fetch.Body, error) {
	r, err := o(ctx)
	if err != nil {
		return nil, err
	}
	return &fetch.Body{ReadCloser: io.NopCloser(r), Size: -1}, nil
}

// until is a reader that has nothing before its context is done.
type until struct{ context.Context }

func (u until) Read([]byte) (int, error) {
	<-u.Done()
	return 0, u.Err()
}

func TestAsk(t *testing.T) {
	for name, c := range map[string]struct {
		source opens
		want   string // the beginning of what is told
	}{
		"has it":   {func(context.Context) (io.Reader, error) { return strings.NewReader("x"), nil }, "has it, "},
		"is empty": {func(context.Context) (io.Reader, error) { return strings.NewReader(""), nil }, "has it, "},
		"lacks it": {func(context.Context) (io.Reader, error) { return nil, fmt.Errorf("404: %w", fs.ErrNotExist) }, "does not have it, "},
		"fails":    {func(context.Context) (io.Reader, error) { return nil, errors.New("no route") }, "failed: no route"},
		"breaks":   {func(context.Context) (io.Reader, error) { return iotest.ErrReader(errors.New("reset")), nil }, "failed: reset"},
		"is busy": {func(context.Context) (io.Reader, error) {
			return nil, &fetch.BusyError{After: time.Minute, Err: errors.New("429")}
		}, "failed: 429 (asks to wait 1m0s)"},
		"hangs":  {func(ctx context.Context) (io.Reader, error) { <-ctx.Done(); return nil, ctx.Err() }, "failed: no answer within 20ms"},
		"stalls": {func(ctx context.Context) (io.Reader, error) { return until{ctx}, nil }, "failed: no answer within 20ms"},
	} {
		patience := time.Minute
		if strings.Contains(c.want, "20ms") {
			patience = 20 * time.Millisecond
		}
		a := ask(t.Context(), c.source, fetch.Request{}, patience)
		if !strings.HasPrefix(a.String(), c.want) || a.Has != strings.HasPrefix(c.want, "has") || a.Has && a.Error != "" {
			t.Errorf("a source that %s: %s, %+v", name, a, a)
		}
	}
}

func TestUnanswered(t *testing.T) {
	has, lacks := &listedSource{Answer: &answer{Has: true}}, &listedSource{Answer: &answer{Missing: true}}
	all := []*archiveSources{
		{Sample: "one", Sources: []*listedSource{lacks, has}},
		{Sample: "two", Sources: []*listedSource{has, lacks}},
	}
	if err := unanswered(all); err != nil {
		t.Error(err)
	}
	all = append(all, &archiveSources{Sample: "three", Sources: []*listedSource{lacks}}, &archiveSources{Sample: "four"})
	var missing *missingError
	if err := unanswered(all); !errors.As(err, &missing) || !strings.Contains(err.Error(), "no source has three, four;") {
		t.Error(err)
	}
}
