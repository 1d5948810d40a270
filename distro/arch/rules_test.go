package arch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild"
)

var later = epoch.Add(time.Hour)

// rule finds a rule by its name.
func rule(t testing.TB, name string) distro.Rule {
	t.Helper()
	rules := (Distro{}).Rules()
	i := slices.IndexFunc(rules, func(r distro.Rule) bool { return r.Name == name })
	if i < 0 {
		t.Fatal("there is no rule ", name)
	}
	return rules[i]
}

// TestRulesRemove has for each rule what it takes away, and what it leaves.
func TestRulesRemove(t *testing.T) {
	for name, tt := range map[string]struct{ gone, stays []string }{
		"pacman-log":     {[]string{"var/log/pacman.log"}, []string{"var/log/pacman.log.d", "var/log"}},
		"pacman-sync":    {[]string{"var/lib/pacman/sync/core.db", "var/lib/pacman/db.lck"}, []string{"var/lib/pacman/sync", "var/lib/pacman/local/a-1-1/desc"}},
		"pacman-cache":   {[]string{"var/cache/pacman/pkg/a-1-1-any.pkg.tar.zst"}, []string{"var/cache/pacman/pkg"}},
		"pacman-keyring": {[]string{"etc/pacman.d/gnupg/private-keys-v1.d/a.key", "etc/pacman.d/gnupg/pubring.gpg"}, []string{"etc/pacman.d/gnupg", "etc/pacman.d/mirrorlist"}},
		"font-cache":     {[]string{"var/cache/fontconfig/a.cache-7"}, []string{"var/cache/fontconfig"}},
		"man-cache":      {[]string{"var/cache/man/index.db", "var/cache/man/de/index.db"}, []string{"var/cache/man"}},
	} {
		r := rule(t, name)
		matched := func(path string) bool {
			return slices.ContainsFunc(r.Remove, func(p string) bool { return imagebuild.Match(p, path) })
		}
		for _, path := range tt.gone {
			if !matched(path) {
				t.Errorf("%s leaves %s", name, path)
			}
		}
		for _, path := range tt.stays {
			if matched(path) {
				t.Errorf("%s removes %s", name, path)
			}
		}
	}
	for _, r := range (Distro{}).Rules() {
		if r.Reason == "" || len(r.Remove) == 0 && r.Rewrite == nil {
			t.Errorf("the rule %s has no reason or does nothing", r.Name)
		}
	}
}

func TestInstallDates(t *testing.T) {
	r := rule(t, "pacman-install-dates")
	if !imagebuild.Match(r.Edit[0], "var/lib/pacman/local/a-1-1/desc") || imagebuild.Match(r.Edit[0], "var/lib/pacman/local/a-1-1/files") {
		t.Error(r.Edit)
	}
	desc := func(date any) string {
		return fmt.Sprintf("%%NAME%%\na\n\n%%INSTALLDATE%%\n%v\n\n%%SIZE%%\n1\n\n", date)
	}
	for in, want := range map[string]string{
		desc(later.Unix()): desc(epoch.Unix()), desc(1000): desc(1000), desc("word"): desc("word"), "": "", "%INSTALLDATE%\n9999999999": "%INSTALLDATE%\n9999999999",
	} {
		if got, err := r.Rewrite("", []byte(in), epoch); err != nil || string(got) != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
}

// javaStore makes a key store with a certificate of each date.
func javaStore(dates ...time.Time) []byte {
	out := binary.BigEndian.AppendUint32([]byte(javaMagic), uint32(len(dates)))
	text := func(s string) {
		out = append(binary.BigEndian.AppendUint16(out, uint16(len(s))), s...)
	}
	for i, d := range dates {
		out = binary.BigEndian.AppendUint32(out, javaCertificate)
		text(fmt.Sprint("alias", i))
		out = binary.BigEndian.AppendUint64(out, uint64(d.UnixMilli()))
		text("X.509")
		out = binary.BigEndian.AppendUint32(out, 4)
		out = append(out, "cert"...)
	}
	sum := sumJavaStore(out)
	return append(out, sum[:]...)
}

func TestJavaCertificates(t *testing.T) {
	r := rule(t, "java-certificates")
	old := epoch.AddDate(-1, 0, 0)
	in := javaStore(later, old)
	before := bytes.Clone(in)
	if got, err := r.Rewrite("", in, epoch); err != nil || !bytes.Equal(got, javaStore(epoch, old)) || !bytes.Equal(in, before) {
		t.Errorf("%q, %v", got, err)
	}
	resum := func(store []byte) []byte {
		sum := sumJavaStore(store)
		return append(store, sum[:]...)
	}
	secret := bytes.Replace(in[:len(in)-20], []byte{0, 0, 0, javaCertificate, 0}, []byte{0, 0, 0, 1, 0}, 1)
	damaged := bytes.Clone(in)
	damaged[20]++
	for name, same := range map[string][]byte{"empty": nil, "another format": []byte(strings.Repeat("x", 100)), "damaged": damaged, "a private key": resum(secret)} {
		if got, err := r.Rewrite("", same, epoch); err != nil || !bytes.Equal(got, same) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	// The order in which they were added is no matter.
	older := old.AddDate(-1, 0, 0)
	turned := javaStore(old, older)
	turned = bytes.Replace(turned[:len(turned)-20], []byte("alias0"), []byte("alias2"), 1)
	turned = bytes.Replace(bytes.Replace(turned, []byte("alias1"), []byte("alias0"), 1), []byte("alias2"), []byte("alias1"), 1)
	if got, err := r.Rewrite("", resum(turned), epoch); err != nil || !bytes.Equal(got, javaStore(older, old)) {
		t.Errorf("in another order: %q, %v", got, err)
	}
	if _, err := r.Rewrite("", resum(bytes.Clone(in[:len(in)-24])), epoch); err == nil {
		t.Error("one that is cut off")
	}
}

func FuzzJavaStore(f *testing.F) {
	f.Add(javaStore(later)[:40])
	f.Fuzz(func(t *testing.T, content []byte) {
		sum := sumJavaStore(content)
		store := append(bytes.Clone(content), sum[:]...)
		got, err := clampJavaStore("", store, epoch)
		if err == nil && len(got) != len(store) {
			t.Errorf("%d bytes, before %d", len(got), len(store))
		}
	})
}
