package trust

import (
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro/openpgp/openpgptest"
)

// A gpg is a home of GnuPG whose clock is set to days, such as "2020-06-01".
type gpg struct {
	*openpgptest.GPG
	t testing.TB
}

func newGPG(t testing.TB) *gpg {
	t.Helper()
	return &gpg{openpgptest.NewGPG(t), t}
}

// clock is what gpg is given for a day, "" for now.
func clock(day string) string {
	if day == "" {
		return ""
	}
	return strings.ReplaceAll(day, "-", "") + "T120000!"
}

// run runs gpg as of a day with input, and returns its output.
func (g *gpg) run(day, input string, args ...string) []byte {
	g.t.Helper()
	return g.Run(clock(day), input, args...)
}

// key makes a key that certifies and signs, and returns its fingerprint.
// Expires is a day, or "" for never.
func (g *gpg) key(day, name, expires string) string {
	g.t.Helper()
	return g.keyOf("ed25519", day, name, expires)
}

func (g *gpg) keyOf(algorithm, day, name, expires string) string {
	g.t.Helper()
	if expires == "" {
		expires = "0"
	}
	return g.Key(clock(day), name, algorithm, expires)
}

// certify has each of the masters certify all user IDs of a key, or those that
// are given.
func (g *gpg) certify(day, fingerprint string, masters []string, args ...string) {
	g.t.Helper()
	for _, m := range masters {
		var options, users []string
		for _, a := range args {
			if strings.HasPrefix(a, "--") {
				options = append(options, strings.SplitN(a, "=", 2)...)
			} else {
				users = append(users, a)
			}
		}
		all := append(options, "-u", m+"!", "--quick-sign-key", fingerprint)
		g.run(day, "", append(all, users...)...)
	}
}

// sign makes a detached signature over text; key is a fingerprint.
func (g *gpg) sign(day, key, text string, args ...string) []byte {
	g.t.Helper()
	return g.Detach(clock(day), text, key+"!", args...)
}

// Reasons of revocations, as gpg numbers them.
const (
	noReason    = "0"
	compromised = "1"
	superseded  = "2"
	retired     = "3"
)

// revoke revokes a key for a reason.
func (g *gpg) revoke(day, fingerprint, reason string) {
	g.t.Helper()
	answers := "y\n" + reason + "\n\ny\n"
	cert := g.Answer(clock(day), answers, "--gen-revoke", fingerprint)
	g.run(day, string(cert), "--import")
}

// takeBack revokes the first of the three certifications of a key: gpg asks
// for each signature, the key's own being the first, whether to revoke it.
func (g *gpg) takeBack(day, fingerprint, reason string) {
	g.t.Helper()
	g.Answer(clock(day), "n\ny\nn\nn\ny\n"+reason+"\n\ny\nsave\n", "--edit-key", fingerprint, "revsig")
}

// files are those of a keyring package with all keys of g.
func (g *gpg) files(masters []string, revoked ...string) map[string][]byte {
	g.t.Helper()
	var trusted strings.Builder
	for _, m := range masters {
		trusted.WriteString(m + ":4:\n")
	}
	return map[string][]byte{
		"example.gpg": g.Export(), "example-trusted": []byte(trusted.String()),
		"example-revoked": []byte(strings.Join(revoked, "\n")),
	}
}

func load(t testing.TB, files map[string][]byte) *Keyring {
	t.Helper()
	k, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// noon is the time of day at which gpg ran.
func noon(day string) time.Time {
	t, err := time.Parse("2006-01-02 15", day+" 12")
	if err != nil {
		panic(err)
	}
	return t
}
