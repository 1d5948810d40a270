package alpine

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// left are files as scripts may leave them.
type left struct {
	Distro
	files map[string]string
}

func (l left) Assemble(_ context.Context, a distro.Assembly) error {
	made := map[string]bool{"": true}
	for _, name := range slices.Sorted(maps.Keys(l.files)) {
		for i, c := range name {
			if dir := name[:i]; c == '/' && !made[dir] {
				made[dir] = true
				if err := a.Root.Put(distro.File{Path: dir, Type: distro.Directory, Mode: 0o755}, nil); err != nil {
					return err
				}
			}
		}
		text := l.files[name]
		if err := a.Root.Put(distro.File{Path: name, Type: distro.Regular, Mode: 0o644, Size: int64(len(text))}, strings.NewReader(text)); err != nil {
			return err
		}
	}
	return nil
}

// scriptsAt is an archive of two scripts of the given time.
func scriptsAt(when time.Time) string {
	var b bytes.Buffer
	for i, text := range []string{"#!/bin/sh\n", strings.Repeat("x", 513)} {
		b.Write(scriptHeader(fmt.Sprint("script ", i), len(text), when.Unix()))
		b.WriteString(text)
		b.Write(make([]byte, -len(text)&(tarBlock-1)))
	}
	b.Write(make([]byte, 2*tarBlock))
	return b.String()
}

// TestRules tells of each rule what it does to files that are as each rule's
// reason says, and that it leaves others alone. "-" stands for one that goes.
func TestRules(t *testing.T) {
	early, late := epoch.Add(-time.Hour), epoch.Add(time.Hour)
	cases := map[string][]struct{ path, before, after string }{
		"apk-installed-order": {
			{installedFile, "C:x\nP:b\nV:1\n\nP:Aa\nV:1\nF:\n\nP:a\n\n", "P:a\n\nP:Aa\nV:1\nF:\n\nC:x\nP:b\nV:1\n\n"},
			{usrInstalledFile, "P:b\n\nP:a\n\n", "P:a\n\nP:b\n\n"},
		},
		"apk-world-order": {{worldFile, "b>1\na\nb>1\n", "a\nb>1\n"}},
		"apk-script-times": {
			{scriptsFile, scriptsAt(late), scriptsAt(epoch)},
			{"usr/" + scriptsFile, scriptsAt(early), scriptsAt(early)},
		},
		"apk-cache": {
			{"var/cache/apk/APKINDEX.0123.tar.gz", "x", "-"}, {"etc/apk/cache/a-1-r0.0123.apk", "x", "-"}, {"etc/apk/repositories", "x", "x"},
		},
		"apk-log":              {{"var/log/apk.log", "x", "-"}, {"var/log/other", "x", "x"}},
		"alpine-release-stamp": {{".alpine-release", "x", "-"}, {"etc/alpine-release", "x", "x"}},
		"font-cache":           {{"var/cache/fontconfig/0123-le64.cache-9", "x", "-"}},
	}
	for _, r := range (Distro{}).Rules() {
		if r.Reason == "" || cases[r.Name] == nil {
			t.Errorf("rule %s has no reason or no test", r.Name)
		}
		l := left{files: map[string]string{}}
		for _, c := range cases[r.Name] {
			l.files[c.path] = c.before
		}
		img := mustBuild(t, l, &lockfile.Lock{System: lockfile.System{Distro: "alpine", Version: "3", Arch: "x86_64"}}, nil, "no-scripts: true")
		for _, c := range cases[r.Name] {
			got := "-"
			if _, ok := img.Tree.Lookup(c.path); ok {
				got = ofTree(t, img.Tree, c.path)
			}
			if got != c.after {
				t.Errorf("rule %s makes of /%s %q, want %q", r.Name, c.path, got, c.after)
			}
		}
		for _, a := range img.Applied {
			if a.Rule != r.Name && a.Rule != "times" && a.Rule != "root-directory" {
				t.Errorf("rule %s is applied to /%s of %s", a.Rule, a.Path, r.Name)
			}
		}
	}
}

// TestRulesLeaveGoodFilesAlone: what apk of today writes is as the rules want
// it.
func TestRulesLeaveGoodFilesAlone(t *testing.T) {
	from, _, _ := isoLock(t)
	for _, r := range (Distro{}).Rules() {
		for _, name := range r.Edit {
			if strings.HasPrefix(name, "usr/") {
				continue
			}
			text := read(t, from+"/"+name)
			if got, err := r.Rewrite(name, []byte(text), epoch); err != nil || string(got) != text {
				t.Errorf("rule %s changes /%s: %s (%v)", r.Name, name, firstDifference(string(got), text), err)
			}
		}
	}
}

// FuzzClampScripts demands that the times of an archive are all that changes,
// and change once.
func FuzzClampScripts(f *testing.F) {
	f.Add([]byte(scriptsAt(epoch.Add(time.Hour))))
	f.Add([]byte(scriptsAt(epoch))[:700])
	f.Add(append([]byte("name"), make([]byte, 600)...))
	f.Fuzz(func(t *testing.T, archive []byte) {
		before := bytes.Clone(archive)
		out, err := clampScripts("", archive, epoch)
		if !bytes.Equal(before, archive) {
			t.Fatal("the input changed")
		}
		if err != nil {
			return
		}
		if len(out) != len(archive) {
			t.Fatalf("%d bytes became %d", len(archive), len(out))
		}
		if again, err := clampScripts("", out, epoch); err != nil || !bytes.Equal(again, out) {
			t.Fatalf("another time it changes again: %v", err)
		}
	})
}

// FuzzSortInstalled demands that sorting is done once, and loses no line.
func FuzzSortInstalled(f *testing.F) {
	f.Add("P:b\n\nP:a\nF:x\n\n")
	f.Add("\n\n\nP:\n")
	f.Fuzz(func(t *testing.T, text string) {
		once := sortInstalled([]byte(text))
		if again := sortInstalled(once); !bytes.Equal(again, once) {
			t.Errorf("%q, then %q", once, again)
		}
		words := func(s string) []string {
			return slices.Sorted(slices.Values(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' })))
		}
		if !slices.Equal(words(text), words(string(once))) {
			t.Errorf("%q became %q", text, once)
		}
	})
}
