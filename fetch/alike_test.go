package fetch_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

func failure(path string, attempts ...fetch.Attempt) fetch.Failure {
	return fetch.Failure{Entry: lockfile.Entry{Path: path}, Attempts: attempts}
}

// The same refusals are one group, whoever was asked first; other refusals are
// another.
func TestAlikeWhateverTheOrder(t *testing.T) {
	gone := func(source, path string) fetch.Attempt {
		return fetch.Attempt{Source: source, Err: fmt.Errorf("open %s: %w", path, fs.ErrNotExist)}
	}
	dropped := fetch.Attempt{Source: "A", Err: errors.New("dropped")}
	groups := fetch.Alike([]fetch.Failure{
		failure("pool/z", gone("A", "pool/z")),
		failure("pool/a", dropped, gone("A", "pool/a"), gone("B", "pool/a")),
		failure("pool/b", gone("B", "pool/b"), gone("A", "pool/b")),
		failure("pool/c"),
	})
	var got []string
	for _, g := range groups {
		line := g.Why + ":"
		for _, f := range g.Failures {
			line += " " + f.Entry.Path
		}
		got = append(got, line)
	}
	want := []string{
		"A: open …: file does not exist; B: open …: file does not exist: pool/a pool/b",
		"A: open …: file does not exist: pool/z",
		`no source is known for archive ""; add one: pool/c`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// What differs with the file does not make a group of its own; what a status
// or a host says does. What all have in common is told to the letter.
func TestAlikeWhateverTheFile(t *testing.T) {
	say := func(texts ...string) []fetch.Group {
		var failed []fetch.Failure
		for i, text := range texts {
			failed = append(failed, failure(fmt.Sprintf("pool/%d.deb", i), fetch.Attempt{Source: "http://a:4501", Err: errors.New(text)}))
		}
		return fetch.Alike(failed)
	}
	wrong := func(data string) string {
		return (&lockfile.DigestError{Want: lockfile.DigestOf([]byte("x" + data)), Got: lockfile.DigestOf([]byte(data)), Size: 70_000 + int64(len(data))}).Error()
	}
	for name, c := range map[string]struct {
		texts []string
		want  []string
	}{
		"lies":        {[]string{wrong("a"), wrong("bb"), wrong("")}, []string{"http://a:4501: the SHA-256 of the … bytes is …, not …"}},
		"connections": {[]string{"read 127.0.0.1:51000->127.0.0.1:80: reset", "read 127.0.0.1:51002->127.0.0.1:80: reset"}, []string{"http://a:4501: read 127.0.0.1:…->127.0.0.1:80: reset"}},
		"in common":   {[]string{"dial 127.0.0.1:51000: refused", "dial 127.0.0.1:51000: refused"}, []string{"http://a:4501: dial 127.0.0.1:51000: refused"}},
		"alone":       {[]string{"answers from byte 30412"}, []string{"http://a:4501: answers from byte 30412"}},
		"statuses":    {[]string{"answers 404", "answers 503", "answers 404"}, []string{"http://a:4501: answers 404", "http://a:4501: answers 503"}},
	} {
		var got []string
		for _, g := range say(c.texts...) {
			got = append(got, g.Why)
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s: got\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}
