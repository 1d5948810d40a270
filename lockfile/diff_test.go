package lockfile

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// packageName is a key as a distribution would give it.
func packageName(e Entry) string { name, _, _ := strings.Cut(e.Base(), "_"); return name }

func TestDiff(t *testing.T) {
	before := mustParse(t, `#: archive A
1111111111111111111111111111111111111111111111111111111111111111  same_1.deb
2222222222222222222222222222222222222222222222222222222222222222  moved_1.deb
3333333333333333333333333333333333333333333333333333333333333333  newer_1.deb
4444444444444444444444444444444444444444444444444444444444444444  gone_1.deb
5555555555555555555555555555555555555555555555555555555555555555  kernel_1.deb
6666666666666666666666666666666666666666666666666666666666666666  kernel_2.deb
`)
	after := mustParse(t, `#: archive A
1111111111111111111111111111111111111111111111111111111111111111  same_1.deb
7777777777777777777777777777777777777777777777777777777777777777  newer_2.deb
8888888888888888888888888888888888888888888888888888888888888888  added_1.deb
6666666666666666666666666666666666666666666666666666666666666666  kernel_2.deb
9999999999999999999999999999999999999999999999999999999999999999  kernel_3.deb
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa  kernel_4.deb
#: archive B
2222222222222222222222222222222222222222222222222222222222222222  pool/moved_1.deb
`)
	show := func(changes []Change) (out []string) {
		path := func(e *Entry) string {
			if e == nil {
				return "-"
			}
			return e.Path
		}
		for _, c := range changes {
			out = append(out, c.Key+": "+path(c.Old)+" > "+path(c.New))
		}
		return out
	}
	want := []string{
		"added: - > added_1.deb",
		"gone: gone_1.deb > -",
		"kernel: kernel_1.deb > kernel_3.deb",
		"kernel: - > kernel_4.deb",
		"newer: newer_1.deb > newer_2.deb",
	}
	if diff := cmp.Diff(want, show(Diff(before, after, packageName))); diff != "" {
		t.Error(diff)
	}
	if got := Diff(before, before, packageName); len(got) != 0 {
		t.Errorf("a lock differs from itself: %v", show(got))
	}
}

func TestWithout(t *testing.T) {
	l := mustParse(t, "# head\n#: distro debian 12 amd64\n#: missing x 1 all\n#: missing y 1 all\n#: cid "+sumA+" Qa\n#: cid "+sumB+" Qb\n"+
		sumA+"  a\n"+sumB+"  b\n"+sumC+"  c\n# tail\n")
	before := string(l.Format())
	old := mustParse(t, "#: archive Elsewhere\n#: missing x 1 all\n#: missing y 2 all\n"+sumA+"  other/path/of/a\n")
	want := versionLine + "\n# head\n#: distro debian 12 amd64\n#: missing y 1 all\n#: cid " + sumB + " Qb\n" + sumB + "  b\n" + sumC + "  c\n# tail\n"
	if diff := cmp.Diff(want, string(l.Without(old).Format())); diff != "" {
		t.Error(diff)
	}
	if string(l.Format()) != before {
		t.Error("Without changed the lock")
	}
	if got := l.Without(l); len(got.Entries)+len(got.Missing)+len(got.CIDs) != 0 {
		t.Errorf("a lock without itself has %s", got.Format())
	}
}

func TestMerge(t *testing.T) {
	a := "# of a\n#: distro debian 12 amd64\n#: date 2026-01-01T00:00:00Z\n#: missing m 1 all\n#: cid " + sumA + " Qz\n#: archive A\n#: unsigned\n" + sumA + "  a\n"
	b := "# of b\n#: date 2026-02-01T00:00:00Z\n#: missing m 1 all\n#: cid " + sumA + " Qa\n#: archive B\n# signed\n" + sumA + "  a\n" + sumB + "  b\n# end\n"
	want := versionLine + "\n# of a\n# of b\n#: distro debian 12 amd64\n#: date 2026-02-01T00:00:00Z\n#: missing m 1 all\n#: cid " + sumA +
		" Qa\n#: archive B\n# signed\n" + sumA + "  a\n" + sumB + "  b\n# end\n"
	got, err := Merge(mustParse(t, a), mustParse(t, b))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got.Format())); diff != "" {
		t.Error(diff)
	}
	// But for the order of comments, the order of the locks does not matter.
	turned, err := Merge(mustParse(t, b), mustParse(t, a))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(turned.Header)
	if diff := cmp.Diff(got, turned); diff != "" {
		t.Error(diff)
	}
	if empty, err := Merge(); err != nil || string(empty.Format()) != versionLine+"\n" {
		t.Errorf("Merge of nothing: %v, %v", empty, err)
	}
}

func TestMergeRefuses(t *testing.T) {
	a := mustParse(t, "#: distro debian 12 amd64\n"+sumA+"  a\n")
	if _, err := Merge(a, mustParse(t, "#: distro debian 12 arm64\n"+sumB+"  b\n")); err == nil || !strings.Contains(err.Error(), "debian 12 amd64 and debian 12 arm64") {
		t.Errorf("two systems: %v", err)
	}
	_, err := Merge(a, mustParse(t, sumB+"  a\n"))
	var conflict *ConflictError
	if !errors.As(err, &conflict) || conflict.Path != "a" || conflict.A.String() != sumA || conflict.B.String() != sumB {
		t.Errorf("two digests: %v", err)
	}
	if want := "two digests for a: " + sumA + " and " + sumB; err.Error() != want {
		t.Errorf("message %q", err)
	}
}

func TestMergeLeavesItsInputsAlone(t *testing.T) {
	a, b := mustParse(t, "# h\n#: archive A\n# x\n"+sumA+"  a\n"), mustParse(t, "# i\n#: archive A\n# y\n"+sumA+"  a\n")
	before := string(a.Format()) + string(b.Format())
	if _, err := Merge(a, b); err != nil {
		t.Fatal(err)
	}
	if after := string(a.Format()) + string(b.Format()); after != before {
		t.Error(cmp.Diff(before, after))
	}
}

// Two merges of one lock must not write into one another's comments.
func TestMergesShareNothing(t *testing.T) {
	spare := append(make([]string, 0, 8), "# base")
	base := &Lock{Entries: []Entry{{Digest: digest(t, sumA), Path: "a", Archive: Archive{Name: "A"}, Comments: spare}}}
	first, err := Merge(base, mustParse(t, "#: archive A\n# x\n"+sumA+"  a\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Merge(base, mustParse(t, "#: archive A\n# y\n"+sumA+"  a\n")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"# base", "# x"}, first.Entries[0].Comments); diff != "" {
		t.Error(diff)
	}
}

func TestArchiveName(t *testing.T) {
	tests := []struct{ origin, label, want string }{
		{"Debian", "Debian", "Debian"},
		{"Debian", "", "Debian"},
		{"", "Debian", "Debian"},
		{"Debian", "Debian-Security", "Debian/Debian-Security"},
		{"Ubuntu", "Ubuntu", "Ubuntu"},
		{"", "", "-"},
		{"-", "", "%2D"},
		{"-", "x", "%2D/x"},
		{"a/b", "c", "a%2Fb/c"},
		{"a", "b/c", "a/b%2Fc"},
		{"100%", "", "100%25"},
		{"Example Inc", "Apt Repo", "Example%20Inc/Apt%20Repo"},
		{"a\u00a0b\tc\n", "", "a%C2%A0b%09c%0A"},
		{"a\u202eb\u200bc", "", "a%E2%80%AEb%E2%80%8Bc"},
		{"a\xffb", "", "a%FFb"},
		{"Žluťoučký 日本", "", "Žluťoučký%20日本"},
	}
	for _, tt := range tests {
		got := ArchiveName(tt.origin, tt.label)
		if got != tt.want {
			t.Errorf("ArchiveName(%q, %q) = %q, want %q", tt.origin, tt.label, got, tt.want)
		}
		l := mustParse(t, "#: archive "+got+" https://a.example/\n"+sumA+"  a\n")
		if l.Entries[0].Archive != (Archive{Name: got, URL: "https://a.example/"}) {
			t.Errorf("%q is read as %+v", got, l.Entries[0].Archive)
		}
	}
}

func TestDigestText(t *testing.T) {
	d := DigestOf([]byte("hello"))
	const want = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	if d.String() != want || d.IsZero() || !(Digest{}).IsZero() {
		t.Errorf("DigestOf(hello) = %s", d)
	}
	data, err := json.Marshal(map[Digest]Digest{d: d})
	if err != nil || string(data) != `{"`+want+`":"`+want+`"}` {
		t.Errorf("Marshal: %s, %v", data, err)
	}
	var back map[Digest]Digest
	if err := json.Unmarshal([]byte(strings.ToUpper(string(data))), &back); err != nil || back[d] != d {
		t.Errorf("Unmarshal: %v, %v", back, err)
	}
	for _, bad := range []string{"", want[1:], want + "0", "z" + want[1:], " " + want[1:]} {
		kept := d
		if err := kept.UnmarshalText([]byte(bad)); err == nil || kept != d {
			t.Errorf("UnmarshalText(%q) = %v, %s", bad, err, kept)
		}
	}
	e := &DigestError{Want: d, Got: DigestOf(nil), Size: 7}
	if msg := e.Error(); !strings.Contains(msg, "7 bytes") || !strings.Contains(msg, "not "+want) {
		t.Error(msg)
	}
}

func TestCompareOrders(t *testing.T) {
	missing := []Missing{{"a", "2", "amd64"}, {"a", "1", "i386"}, {"a", "2", "i386"}, {"b", "1", "all"}}
	if !slices.IsSortedFunc(missing, Missing.Compare) {
		t.Error("missing packages go by name, architecture, version")
	}
	entries := []Entry{
		{Path: "z", Unsigned: true}, {Path: "z", Archive: Archive{Name: "A"}}, {Path: "a", Archive: Archive{Name: "A"}, Unsigned: true},
		{Path: "a", Archive: Archive{Name: "A", URL: "x:y"}}, {Path: "A", Archive: Archive{Name: "B"}}, {Path: "a", Archive: Archive{Name: "B"}},
	}
	if !slices.IsSortedFunc(entries, Entry.Compare) {
		t.Error("entries go by archive, signature, path")
	}
}
