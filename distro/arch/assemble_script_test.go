package arch

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch/pacman"
)

// TestAssembleRunsScripts runs what pacman runs, in its order, once there is a
// shell and what that needs.
func TestAssembleRunsScripts(t *testing.T) {
	both := "pre_install() { :; }\npost_install() { :; } # post_upgrade\n"
	packages := []parcelMade{
		bash,
		{name: "glibc", script: both, members: []member{plain("usr/bin/ldconfig", "elf"), plain("etc/ld.so.conf", ""), plain("sbin/ldconfig", "elf")}},
		{name: "early", script: both},
		{name: "late", info: "depend = sh\n", script: both},
		{name: "silent", info: "depend = sh\n", script: "post_upgrade() { :; } # post_install\n"},
	}
	a := mustAssemble(t, quietRun, packages...)
	want := []string{
		"/usr/bin/bash -c . /var/lib/pacman/local/early-1-1/install; pre_install 1-1",
		"/usr/bin/bash -c . /var/lib/pacman/local/early-1-1/install; post_install 1-1",
		"/usr/bin/bash -c . /var/lib/pacman/local/late-1-1/install; pre_install 1-1",
		"/usr/bin/bash -c . /var/lib/pacman/local/late-1-1/install; post_install 1-1",
		"/sbin/ldconfig",
	}
	if !slices.Equal(a.ran, want) {
		t.Errorf("ran\n%s\nwant\n%s", strings.Join(a.ran, "\n"), strings.Join(want, "\n"))
	}
	if !a.said("the pre_install of glibc does not run") || !a.said("the post_install of glibc does not run") {
		t.Errorf("said %v", a.warned)
	}
	if a := mustAssemble(t, nil, packages...); len(a.ran) > 0 || len(a.warned) > 0 || !strings.Contains(a.read(t, localState+"/late-1-1/desc"), "sha256") {
		t.Errorf("without scripts: %v, %v", a.ran, a.warned)
	}
}

// TestAssembleWaitsForTheShell runs nothing while the shell is there, but not
// the libraries that it needs, as it may be in a cycle.
func TestAssembleWaitsForTheShell(t *testing.T) {
	const script = "post_install() { :; }\n"
	a := mustAssemble(t, quietRun,
		parcelMade{name: "bash", info: "depend = glibc\n", members: bash.members, script: script},
		parcelMade{name: "glibc", info: "depend = bash\n", script: script},
	)
	// glibc, which is met second, comes first.
	want := "/usr/bin/bash -c . /var/lib/pacman/local/bash-1-1/install; post_install 1-1"
	if strings.Join(a.ran, "\n") != want || !a.said("the post_install of glibc does not run") {
		t.Errorf("ran %q, said %q", a.ran, a.warned)
	}
	a = mustAssemble(t, quietRun,
		parcelMade{name: "aa", info: "depend = bash\n", members: bash.members, script: script},
		parcelMade{name: "bash", info: "depend = aa\n", script: script},
		parcelMade{name: "lib", info: "depend = aa\n"},
	)
	if len(a.ran) != 1 {
		t.Errorf("ran %q", a.ran)
	}
	bashFirst := parcelMade{name: "first", info: "depend = second\n", script: script}
	a = mustAssemble(t, quietRun, bashFirst,
		parcelMade{name: "second", info: "depend = first\n", members: bash.members, script: script})
	if want := "/usr/bin/bash -c . /var/lib/pacman/local/first-1-1/install; post_install 1-1"; strings.Join(a.ran, "\n") != want || !a.said("the post_install of second does not run") {
		t.Errorf("ran %q, said %q", a.ran, a.warned)
	}
}

// TestAssembleReadsUsersAgain knows the users that scripts have added.
func TestAssembleReadsUsersAgain(t *testing.T) {
	theirs := plain("srv/file", "")
	theirs.Uname, theirs.Uid = "new", 7
	a := mustAssemble(t, func(root string, _ distro.Step) error {
		writeTo(t, filepath.Join(root, "etc/passwd"), []byte("old:x:5:5::/:\nnew:x:300:300::/:\n"))
		return nil
	},
		parcelMade{name: "a", members: []member{bash.members[0], plain("etc/passwd", "old:x:5:5::/:\n")}},
		parcelMade{name: "b", info: "depend = a\n", script: "post_install() { :; }\n", members: []member{plain("srv/b", "")}},
		parcelMade{name: "c", info: "depend = b\n", members: []member{theirs}},
	)
	if f, err := a.dir.Stat("srv/file"); err != nil || f.UID != 300 {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestAssembleScriptFails goes on where a script fails, as pacman does, and
// stops where none can run.
func TestAssembleScriptFails(t *testing.T) {
	p := parcelMade{name: "p", info: "depend = bash\n", script: "post_install() { false; }\n"}
	a := mustAssemble(t, func(root string, _ distro.Step) error {
		writeTo(t, filepath.Join(root, failedFile), []byte("7\n"))
		return nil
	}, bash, p)
	if !a.said("the post_install of p failed with exit code 7") {
		t.Errorf("said %v", a.warned)
	}
	if _, err := os.Stat(filepath.Join(a.root, failedFile)); err == nil {
		t.Error("the mark of the failure stays in the root")
	}
	broken := errors.New("no sandbox")
	if _, err := assemble(t, func(string, distro.Step) error { return broken }, bash, p); !errors.Is(err, broken) || !strings.Contains(err.Error(), "p-1-1") {
		t.Errorf("no sandbox: %v", err)
	}
}

// TestAssembleRunsHooks runs the hooks that the packages set off, with their
// targets, and leaves out the others.
func TestAssembleRunsHooks(t *testing.T) {
	hook := func(name, action string, triggers ...string) member {
		text := "# words\n"
		for _, trigger := range triggers {
			text += "[Trigger]\n" + trigger
		}
		return plain("usr/share/libalpm/hooks/"+name+".hook", text+"[Action]\n"+action)
	}
	const files = "Operation = Install\nOperation = Upgrade\nType = Path\nTarget = usr/lib/*.so\nTarget = !usr/lib/b.so\n"
	const packages = "Operation = Install\nType = Package\nTarget = ba*\n"
	a := mustAssemble(t, func(root string, s distro.Step) error {
		if s.Stdin != nil {
			data, err := io.ReadAll(s.Stdin)
			if err != nil {
				return err
			}
			writeTo(t, filepath.Join(root, "fed"), data)
		}
		return nil
	}, bash, parcelMade{name: "hooks", members: []member{
		plain("usr/lib/z.so", ""), plain("usr/lib/x/a.so", ""), plain("usr/lib/b.so", ""),
		hook("20-b", "When = PostTransaction\nExec = /bin/b 'one word' two\\ words\n", packages),
		hook("10-a", "Description = d\nWhen = PostTransaction\nExec = /bin/a\nNeedsTargets\nDepends = sh\n", files, packages, files),
		hook("30-lacks", "When = PostTransaction\nExec = /bin/no\nDepends = absent>2\n", packages),
		hook("40-pre", "When = PreTransaction\nExec = /bin/no\nAbortOnFail\n", packages),
		hook("50-other", "When = PostTransaction\nExec = /bin/no\n", "Operation = Upgrade\nType = Package\nTarget = *\n", "Operation = Install\nType = File\nTarget = opt/*\n"),
		hook("60-bad", "When = PostTransaction\nExec = /bin/no\nColour = red\n", packages),
		hook("70-masked", "When = PostTransaction\nExec = /bin/no\n", packages),
		hook("80-empty", "When = PostTransaction\nExec = /bin/no\n", packages),
		link("etc/pacman.d/hooks/70-masked.hook", "/dev/null", '2'), plain("etc/pacman.d/hooks/80-empty.hook", ""),
		plain("usr/share/libalpm/hooks/README", "no hook"),
	}})
	if want := []string{"/bin/a", "/bin/b one word two words"}; !slices.Equal(a.ran, want) {
		t.Errorf("ran %q, want %q", a.ran, want)
	}
	if got, want := a.read(t, "fed"), "bash\nusr/lib/x/a.so\nusr/lib/z.so\n"; got != want {
		t.Errorf("targets %q, want %q", got, want)
	}
	if !a.said("30-lacks does not run") || !a.said("60-bad.hook is left out, as with pacman: line ") {
		t.Errorf("said %v", a.warned)
	}
}

// TestAssembleHookPassesOver what is not extracted.
func TestAssembleHookPassesOver(t *testing.T) {
	const hook = "[Trigger]\nOperation = Install\nType = Path\nTarget = usr/doc/*\n[Action]\nWhen = PostTransaction\nExec = /bin/no\n"
	a := mustAssemble(t, quietRun, bash, parcelMade{name: "conf", info: "backup = etc/pacman.conf\n", members: []member{
		plain("etc/pacman.conf", "[options]\nNoExtract = usr/doc/*\nHookDir = /srv/hooks/\n"), plain("usr/doc/a", ""), plain("srv/hooks/a.hook", hook),
	}})
	if len(a.ran) > 0 {
		t.Errorf("ran %q", a.ran)
	}
	a = mustAssemble(t, quietRun, bash, parcelMade{name: "conf", info: "backup = etc/pacman.conf\n", members: []member{
		plain("etc/pacman.conf", "[options]\nHookDir = /srv/hooks/\n"), plain("usr/doc/a", ""), plain("srv/hooks/a.hook", hook),
	}})
	if len(a.ran) != 1 {
		t.Errorf("ran %q", a.ran)
	}
}

func TestSplitWords(t *testing.T) {
	for text, want := range map[string]string{
		`a b`: "a|b", `"a b" 'c "d"'`: `a b|c "d"`, `a\ b "c\"d" 'e\f'`: `a b|c"d|e\f`, `a ''`: "a|", `a 'b`: "-", "": "-", "  ": "-",
	} {
		words, ok := splitWords(text)
		got := strings.Join(words, "|")
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// TestMatches has the cases of fnmatch(3) and of pacman's lists.
func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		patterns, s string
		want        bool
	}{
		{"usr/*", "usr/a/b", true}, {"usr/*/c", "usr/a/b/c", true}, {"usr/?", "usr/ab", false}, {"usr/??", "usr/ab", true},
		{"[a-c]x", "bx", true}, {"[!a-c]x", "bx", false}, {"[]]x", "]x", true}, {"[a", "[a", true}, {`x\*`, "xa", false}, {`x\*`, "x*", true}, {`\*`, "a", true},
		{"*", "", true}, {"", "", true}, {"", "a", false}, {"a*b*c", "aXbYbZc", true}, {"a*b*c", "aXbYbZ", false},
		{"* !b", "b", false}, {"!b *", "b", true}, {"!b", "a", false}, {`\!b`, "!b", true}, {"usr/lib/*.so", "usr/lib/a.so.1", false},
	} {
		if got := matches(strings.Fields(tt.patterns), tt.s); tt.patterns != "" && got != tt.want {
			t.Errorf("%s of %q: %v", tt.patterns, tt.s, got)
		}
	}
	for pattern, want := range map[string]bool{"": false, "a": true} {
		if fits(pattern, "a") != want {
			t.Errorf("%q fits a", pattern)
		}
	}
}

// TestInstallOrder orders as pacman 6.0.2 was seen to, also in cycles, and
// whatever the order of the lock.
func TestInstallOrder(t *testing.T) {
	makeOne := func(name string, words ...string) *parcel {
		d := pacman.Desc{Name: name, Version: "1-1"}
		for _, w := range words {
			if provided, ok := strings.CutPrefix(w, "+"); ok {
				d.Provides = append(d.Provides, provided)
			} else {
				d.Depends = append(d.Depends, w)
			}
		}
		return &parcel{Info: &pacman.Info{Desc: d}}
	}
	for name, tt := range map[string]struct {
		parcels []*parcel
		want    string
	}{
		"by name":         {[]*parcel{makeOne("a"), makeOne("b"), makeOne("c")}, "a b c"},
		"deep":            {[]*parcel{makeOne("a", "b"), makeOne("b", "c>0"), makeOne("c")}, "c b a"},
		"as they ask":     {[]*parcel{makeOne("a", "d", "c"), makeOne("c"), makeOne("d")}, "d c a"},
		"what provides":   {[]*parcel{makeOne("a", "sh"), makeOne("bash", "+sh"), makeOne("dash", "+sh")}, "bash dash a"},
		"a bound not met": {[]*parcel{makeOne("a", "b>2"), makeOne("b")}, "a b"},
		"itself":          {[]*parcel{makeOne("a", "a", "b"), makeOne("b")}, "b a"},
		"cycle":           {[]*parcel{makeOne("a", "b"), makeOne("b", "c"), makeOne("c", "a")}, "c b a"},
		"met already":     {[]*parcel{makeOne("a", "dash", "sh", "zed"), makeOne("bash", "+sh"), makeOne("dash", "+sh"), makeOne("zed")}, "dash zed bash a"},
		"two cycles":      {[]*parcel{makeOne("a", "b", "d"), makeOne("b", "a"), makeOne("c", "d"), makeOne("d", "c")}, "b c d a"},
	} {
		var got []string
		for _, p := range installOrder(tt.parcels) {
			got = append(got, p.Name)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %v, want %s", name, got, tt.want)
		}
	}
}

// TestReadAhead ends also where nobody reads what was decompressed.
func TestReadAhead(t *testing.T) {
	blobs := files{}
	var parcels []*parcel
	for range 20 {
		d := blobs.add(t, parcelMade{name: "p", members: []member{plain("usr/a", strings.Repeat("a", 3<<20))}}.bytes(t))
		parcels = append(parcels, &parcel{blob: blobs[d]})
	}
	parcels[3].blob = filepath.Join(t.TempDir(), "gone")
	for i, s := range readAhead(t.Context(), parcels, 2) {
		if i%2 == 1 {
			n, err := io.Copy(io.Discard, s)
			if i == 3 {
				if !errors.Is(err, os.ErrNotExist) {
					t.Errorf("a file that is gone: %v", err)
				}
			} else if err != nil || n < 3<<20 {
				t.Errorf("%d bytes, %v", n, err)
			}
		}
		s.end()
	}
}

func FuzzParseHook(f *testing.F) {
	f.Add("[Trigger]\nOperation = Install\nType = Path\nTarget = usr/*\n[Action]\nWhen = PostTransaction\nExec = /bin/a 'b'\n")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHook("h", text)
		if err == nil && len(h.triggers) > 0 && (len(h.exec) == 0 || h.when == "") {
			t.Errorf("a hook that runs nothing: %q", text)
		}
	})
}

func FuzzFits(f *testing.F) {
	f.Add("a*[!b-c]?\\*", "axd?*")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if !strings.ContainsAny(pattern, `*?[\`) && fits(pattern, s) != (pattern == s) {
			t.Errorf("%q fits %q", pattern, s)
		}
		if fits(pattern, s) && !strings.HasSuffix(pattern, `\`) && !fits(pattern+"*", s) {
			t.Errorf("%q does not fit %q with a star", pattern, s)
		}
	})
}
