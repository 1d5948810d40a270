package trust

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

func TestLoad(t *testing.T) {
	keys, f, sig := seed(t)
	other := strings.Repeat("A", 40)
	t.Run("comments and other files", func(t *testing.T) {
		k := load(t, map[string][]byte{
			"b.gpg": keys, "a-trusted": []byte("# masters\n\n" + strings.ToLower(f) + ":4:\r\n" + other + ":4:\n"),
			"README": []byte("junk"), "a-revoked": []byte("# nobody\n" + other),
		})
		accepted(t, k, sig)
		if k.Len() != 1 || (*Keyring)(nil).Len() != 0 {
			t.Error(k.Len())
		}
	})
	t.Run("the same key twice", func(t *testing.T) {
		k := load(t, map[string][]byte{"a.gpg": keys, "b.gpg": keys, "b-trusted": []byte(f + ":6:")})
		accepted(t, k, sig)
		if k.Len() != 1 || len(k.certs[f].users) != 1 {
			t.Error(k.Len())
		}
	})
	for name, c := range map[string]struct {
		files map[string][]byte
		want  string
	}{
		"nothing":               {nil, "install its keyring package"},
		"no keys":               {map[string][]byte{"a.gpg": nil, "a-trusted": []byte(f + ":4:")}, "install its keyring package"},
		"half of a key":         {map[string][]byte{"a.gpg": keys[:60]}, "a.gpg: the keyring cannot be read"},
		"damaged armor":         {map[string][]byte{"a.gpg": []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!!!\n")}, "a.gpg: the armor of the keyring is damaged"},
		"an armored signature":  {map[string][]byte{"a.gpg": []byte("-----BEGIN PGP SIGNATURE-----\n\naaaa\n=aaaa\n-----END PGP SIGNATURE-----\n")}, `has a "PGP SIGNATURE"`},
		"no fingerprint":        {map[string][]byte{"a.gpg": keys, "a-trusted": []byte("\nABCD:4:")}, `a-trusted: line 2: "ABCD" is no fingerprint`},
		"no ownertrust":         {map[string][]byte{"a.gpg": keys, "a-trusted": []byte(f)}, "a-trusted: line 1"},
		"an unknown ownertrust": {map[string][]byte{"a.gpg": keys, "a-trusted": []byte(f + ":9:")}, "is no ownertrust"},
		"a revoked nobody":      {map[string][]byte{"a.gpg": keys, "a-revoked": []byte("someone")}, `a-revoked: line 1: "SOMEONE" is no fingerprint`},
		"a packet of gigabytes": {map[string][]byte{"a.gpg": {0xc6, 0xff, 0x7f, 0xff, 0xff, 0xff}}, "cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			if k, err := Load(c.files); err == nil || !strings.Contains(err.Error(), c.want) || k != nil {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestLoadArmored(t *testing.T) {
	g := newGPG(t)
	f := g.key("2016-01-01", "alice", "")
	second := g.key("2016-01-01", "bob", "")
	sig := g.sign("2020-06-01", second, text)
	armored := bytes.Join([][]byte{g.run("", "", "--armor", "--export", f), g.run("", "", "--armor", "--export", second)}, nil)
	k := load(t, map[string][]byte{"a.gpg": armored, "a-trusted": []byte(second + ":4:")})
	if k.Len() != 2 {
		t.Error(k.Len())
	}
	accepted(t, k, sig)
}

// A keyring is not believed because of what it names: a certification has to
// verify, and one master is one however often it is there.
func TestCertificationsThatProveNothing(t *testing.T) {
	d := newDistribution(t)
	f := d.packager("alice", "", 3)
	sig := d.sign("2020-06-01", f, text)
	files := d.files(d.masters)
	own := load(t, files)
	accepted(t, own, sig)
	master := own.certs[d.masters[0]].primary
	change := func(fn func(u *user)) *Keyring {
		k := load(t, files)
		fn(k.certs[f].users[0])
		return k
	}
	by := func(body []byte) bool {
		s, err := readCertification(body)
		return err == nil && s.CheckKeyIdOrFingerprint(master)
	}
	k := change(func(u *user) {
		for i, body := range u.raw {
			if by(body) {
				u.raw[i] = bytes.Clone(body)
				u.raw[i][len(body)-1] ^= 1
			}
		}
	})
	if e := refused(t, k, sig, ErrNotTrusted); e.Certified != 2 {
		t.Error(e)
	}
	k = change(func(u *user) {
		var kept [][]byte
		for _, body := range u.raw {
			if !by(body) {
				kept = append(kept, body, body)
			}
		}
		u.raw = kept
	})
	if e := refused(t, k, sig, ErrNotTrusted); e.Certified != 2 {
		t.Error(e)
	}
	k = change(func(u *user) { u.id = "Alice <alice@example.org>" })
	refused(t, k, sig, ErrNotForSigning) // nothing it signed of itself is left
	k = load(t, files)
	c := k.certs[f]
	k.certs[d.masters[4]].users[0].raw = c.users[0].raw // over another key
	c.users = nil
	refused(t, k, sig, ErrNotForSigning)
}

func TestRevokedByAnother(t *testing.T) {
	d := newDistribution(t)
	f := d.packager("alice", "", 3)
	sig := d.sign("2020-06-01", f, text)
	before := d.files(d.masters)
	d.Answer(clock("2020-07-01"), "addrevoker\n"+d.masters[3]+"\ny\nsave\n", "--edit-key", f)
	cert := d.Answer(clock("2020-08-01"), "y\n1\n\ny\n", "--local-user", d.masters[3], "--desig-revoke", f)
	d.run("2020-08-01", string(cert), "--import")
	accepted(t, load(t, before), sig)
	refused(t, load(t, d.files(d.masters)), sig, ErrRevoked)
}

func TestConcurrentUse(t *testing.T) {
	d := newDistribution(t)
	f := d.packager("alice", "", 3)
	good, bad := d.sign("2020-06-01", f, text), d.sign("2020-06-01", d.packager("two", "", 2), text)
	k := load(t, d.files(d.masters))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := k.Verify(strings.NewReader(text), good); err != nil {
				t.Error(err)
			}
			if _, err := k.TrustAll().Inspect(bad); err != nil {
				t.Error(err)
			}
			if _, err := k.Inspect(bad); !errors.Is(err, ErrNotTrusted) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestLoadGnuPG(t *testing.T) {
	keys, f, sig := seed(t)
	disabled := trustDB(f)
	disabled[recordSize+22] |= ownerDisabled
	k, err := LoadGnuPG(map[string][]byte{"pubring.gpg": keys, "trustdb.gpg": disabled})
	if err != nil {
		t.Fatal(err)
	}
	refused(t, k, sig, ErrRevoked)
	strict := trustDB(f)
	box := keybox(keys)
	for name, c := range map[string]struct {
		files map[string][]byte
		want  string
	}{
		"nothing":       {nil, "neither pubring.gpg nor pubring.kbx"},
		"keyboxd":       {map[string][]byte{"pubring.db": keys, "trustdb.gpg": strict}, "neither pubring.gpg nor pubring.kbx"},
		"no trust":      {map[string][]byte{"pubring.gpg": keys}, "trustdb.gpg has no key that is trusted ultimately"},
		"no trustdb":    {map[string][]byte{"pubring.gpg": keys, "trustdb.gpg": []byte("x")}, "trustdb.gpg: it is no trustdb"},
		"half of one":   {map[string][]byte{"pubring.gpg": keys, "trustdb.gpg": strict[:50]}, "trustdb.gpg: it is no trustdb"},
		"no keybox":     {map[string][]byte{"pubring.kbx": bytes.Repeat([]byte{0, 0, 0, 20}, 5), "trustdb.gpg": strict}, "pubring.kbx: it is no keybox"},
		"half a keybox": {map[string][]byte{"pubring.kbx": box[:len(box)-5], "trustdb.gpg": strict}, "has a blob of"},
		"a bit of one":  {map[string][]byte{"pubring.kbx": box[:36], "trustdb.gpg": strict}, "cut off at byte 32"},
	} {
		t.Run(name, func(t *testing.T) {
			if k, err := LoadGnuPG(c.files); err == nil || !strings.Contains(err.Error(), c.want) || k != nil {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	outside := bytes.Clone(box)
	outside[32+8+2] = 0xff
	if _, err := LoadGnuPG(map[string][]byte{"pubring.kbx": outside}); err == nil || !strings.Contains(err.Error(), "outside of its blob") {
		t.Error(err)
	}
}

// A home as gpg makes it today has a keybox.
func TestRealKeybox(t *testing.T) {
	d := newDistribution(t)
	local := d.masters[0]
	f := d.packager("alice", "", 0)
	d.run("2016-02-01", "", "--force-sign-key", "-u", local, "--quick-lsign-key", f)
	sig := d.sign("2020-06-01", f, text)
	two := d.sign("2020-06-01", d.packager("bob", "", 0), text)
	if _, err := os.Stat(filepath.Join(d.Home, "pubring.kbx")); err != nil {
		t.Skipf("this gpg keeps its keys elsewhere: %v", err)
	}
	// The keys that gpg made are all trusted ultimately: leave one.
	d.run("", "", "--check-trustdb")
	var owner strings.Builder
	for line := range strings.Lines(string(d.run("", "", "--export-ownertrust"))) {
		if g, _, ok := strings.Cut(line, ":"); ok && g != local && !strings.HasPrefix(g, "#") {
			owner.WriteString(g + ":2:\n")
		}
	}
	d.run("", owner.String(), "--import-ownertrust")
	k, err := LoadGnuPG(d.homeFiles())
	if err != nil {
		t.Fatal(err)
	}
	if s := accepted(t, k, sig); s.Fingerprint != f {
		t.Errorf("%+v", s)
	}
	refused(t, k, two, ErrNotTrusted)
}

// Ownertrust alone does not make a master: it has to be valid itself.
func TestMastersHaveToBeValid(t *testing.T) {
	d := newDistribution(t)
	sig := d.sign("2020-06-01", d.packager("alice", "", 3), text)
	k := load(t, d.files(d.masters))
	accepted(t, k, sig)
	delete(k.valid, d.masters[0])
	if e := refused(t, k, sig, ErrNotTrusted); e.Certified != 2 {
		t.Error(e)
	}
}

// The newest word of a master counts: here it lapses before the older one.
func TestReplacedCertification(t *testing.T) {
	d := newDistribution(t)
	f := d.packager("alice", "", 3)
	before, after := d.sign("2016-06-01", f, text), d.sign("2020-06-01", f, text)
	d.certify("2017-01-01", f, d.masters[:1], "--force-sign-key", "--default-cert-expire=1y")
	k := load(t, d.files(d.masters))
	accepted(t, k, before)
	refused(t, k, after, ErrNotTrusted)
}

func TestRevocationWithoutAReason(t *testing.T) {
	if !hard(&packet.Signature{}) {
		t.Error("it counts only from its time")
	}
}

// A second signature by a trusted key has to be over the data as well.
func TestSecondSignatureIsBad(t *testing.T) {
	d := newDistribution(t)
	good := d.sign("2020-06-01", d.masters[0], text)
	bad := d.sign("2020-06-01", d.masters[1], "other bytes")
	refused(t, load(t, d.files(d.masters)), append(bytes.Clone(good), bad...), ErrBadSignature)
}
