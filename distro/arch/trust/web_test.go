package trust

import (
	"errors"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro/openpgp/openpgptest"
)

const text = "the bytes of a package"

// A distribution has five masters, of whom three have to agree.
type distribution struct {
	*gpg
	masters []string
}

func newDistribution(t testing.TB) *distribution {
	d := &distribution{gpg: newGPG(t)}
	for _, name := range []string{"m1", "m2", "m3", "m4", "m5"} {
		d.masters = append(d.masters, d.key("2015-01-01", name, ""))
	}
	return d
}

// packager makes a key that n masters certify a month later.
func (d *distribution) packager(name, expires string, n int) string {
	f := d.key("2016-01-01", name, expires)
	d.certify("2016-02-01", f, d.masters[:n])
	return f
}

// refused fails unless k refuses a signature over text for the reason.
func refused(t *testing.T, k *Keyring, signature []byte, reason error) *Error {
	t.Helper()
	s, err := k.Verify(strings.NewReader(text), signature)
	var e *Error
	if !errors.Is(err, reason) || !errors.As(err, &e) || s != nil {
		t.Fatalf("got %+v, %v; want %v", s, err, reason)
	}
	if _, err := k.Inspect(signature); !errors.Is(err, reason) && !errors.Is(reason, ErrBadSignature) {
		t.Errorf("without the data: %v", err)
	}
	return e
}

func accepted(t *testing.T, k *Keyring, signature []byte) *Signer {
	t.Helper()
	s, err := k.Verify(strings.NewReader(text), signature)
	if err != nil {
		t.Fatal(err)
	}
	if i, err := k.Inspect(signature); err != nil || *i != *s {
		t.Errorf("without the data: %+v, %v", i, err)
	}
	return s
}

func TestEnoughMasters(t *testing.T) {
	d := newDistribution(t)
	f := d.packager("alice", "", 3)
	sig := d.sign("2020-06-01", f, text)
	k := load(t, d.files(d.masters))
	s := accepted(t, k, sig)
	want := Signer{Fingerprint: f, KeyID: f[24:], Name: "alice <alice@example.org>", SignedAt: noon("2020-06-01")}
	if *s != want {
		t.Errorf("got %+v, want %+v", *s, want)
	}

	t.Run("a master itself", func(t *testing.T) {
		accepted(t, k, d.sign("2020-06-01", d.masters[0], text))
	})
	t.Run("two are too few", func(t *testing.T) {
		two := d.packager("two", "", 2)
		sig := d.sign("2020-06-01", two, text)
		k := load(t, d.files(d.masters))
		e := refused(t, k, sig, ErrNotTrusted)
		if e.Certified != 2 || e.Needed != 3 || e.Key != two || e.Name != openpgptest.UserID("two") {
			t.Errorf("%+v", e)
		}
		if !strings.Contains(e.Error(), "2 of the 3 masters") {
			t.Error(e)
		}
		accepted(t, k.TrustAll(), sig)
	})
	t.Run("those who are no masters do not count", func(t *testing.T) {
		k := load(t, d.files(d.masters[1:]))
		if e := refused(t, k, sig, ErrNotTrusted); e.Certified != 2 {
			t.Error(e)
		}
	})
	t.Run("one that is fully trusted is enough", func(t *testing.T) {
		files := d.files(nil)
		files["example-trusted"] = []byte(d.masters[0] + ":5:\n")
		accepted(t, load(t, files), sig)
		files["example-trusted"] = []byte(d.masters[0] + ":3:\n" + d.masters[1] + ":4:\n")
		refused(t, load(t, files), sig, ErrNotTrusted)
	})
	t.Run("each user ID for itself", func(t *testing.T) {
		split := d.key("2016-01-01", "split", "")
		d.run("2016-01-01", "", "--quick-add-uid", split, openpgptest.UserID("other"))
		d.certify("2016-02-01", split, d.masters[:2], openpgptest.UserID("split"))
		d.certify("2016-02-01", split, d.masters[2:4], openpgptest.UserID("other"))
		sig := d.sign("2020-06-01", split, text)
		refused(t, load(t, d.files(d.masters)), sig, ErrNotTrusted)
		d.certify("2016-02-01", split, d.masters[4:], openpgptest.UserID("other"))
		if s := accepted(t, load(t, d.files(d.masters)), sig); s.Name != openpgptest.UserID("other") {
			t.Errorf("%+v", s)
		}
		// The masters vouched for a user ID that the packager gave up.
		d.run("2021-01-01", "", "--quick-revoke-uid", split, openpgptest.UserID("other"))
		k := load(t, d.files(d.masters))
		late := d.sign("2021-06-01", split, text)
		refused(t, k, late, ErrNotTrusted)
	})
	t.Run("unknown key", func(t *testing.T) {
		g := newGPG(t)
		e := refused(t, k, g.sign("2020-06-01", g.key("2016-01-01", "mallory", ""), text), ErrUnknownKey)
		if len(e.Key) != 40 {
			t.Errorf("%+v", e)
		}
		refused(t, nil, sig, ErrUnknownKey)
	})
}

func TestExpiry(t *testing.T) {
	d := newDistribution(t)
	f := d.packager("alice", "2021-01-01", 3)
	d.run("2016-01-01", "", "--quick-add-key", f, "ed25519", "sign", "2018-01-01")
	sub := d.Fingerprints("alice")[1]
	atEnd := d.files(d.masters)
	early, earlySub := d.sign("2020-06-01", f, text), d.sign("2017-06-01", sub, text)
	d.run("2017-07-01", "", "--quick-set-expire", f, "2026-01-01")
	d.run("2017-07-01", "", "--quick-set-expire", f, "2025-01-01", sub)
	late, lateSub := d.sign("2023-06-01", f, text), d.sign("2018-06-01", sub, text)
	k := load(t, atEnd)
	t.Run("signed before", func(t *testing.T) {
		accepted(t, k, early)
		if s := accepted(t, k, earlySub); s.Fingerprint != f || s.KeyID != sub[24:] {
			t.Errorf("%+v", s)
		}
	})
	t.Run("signed after", func(t *testing.T) {
		refused(t, k, late, ErrKeyExpired)
		refused(t, k, lateSub, ErrKeyExpired)
	})
	t.Run("extended", func(t *testing.T) {
		k := load(t, d.files(d.masters))
		for _, sig := range [][]byte{early, earlySub, late, lateSub} {
			accepted(t, k, sig)
		}
	})
	t.Run("the signature's own", func(t *testing.T) {
		k := load(t, d.files(d.masters))
		refused(t, k, d.sign("2020-06-01", f, text, "--default-sig-expire", "30d"), ErrSignatureExpired)
		accepted(t, k, d.sign("2020-06-01", f, text, "--default-sig-expire", "50y"))
	})
	t.Run("signed before there was a key", func(t *testing.T) {
		g := newGPG(t)
		young := g.key("2019-01-01", "young", "")
		sig := g.sign("2019-06-01", young, text)
		k := load(t, g.files([]string{young}))
		accepted(t, k, sig)
		// gpg would refuse to make such a signature.
		k.certs[young].primary.CreationTime = noon("2019-07-01")
		refused(t, k, sig, ErrTooEarly)
	})
}

func TestRevocation(t *testing.T) {
	for _, c := range []struct {
		reason, name string
		before       error
	}{
		{noReason, "no reason", ErrRevoked},
		{compromised, "compromised", ErrRevoked},
		{superseded, "superseded", nil},
		{retired, "retired", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDistribution(t)
			f := d.packager("alice", "", 3)
			before, after := d.sign("2020-06-01", f, text), d.sign("2022-06-01", f, text)
			accepted(t, load(t, d.files(d.masters)), after)
			d.revoke("2021-01-01", f, c.reason)
			k := load(t, d.files(d.masters))
			refused(t, k, after, ErrRevoked)
			refused(t, k.TrustAll(), after, ErrRevoked)
			if c.before != nil {
				refused(t, k, before, c.before)
			} else {
				accepted(t, k, before)
			}
		})
	}
}

func TestRevokedByTheKeyring(t *testing.T) {
	d := newDistribution(t)
	f := d.packager("alice", "", 5)
	d.run("2016-01-01", "", "--quick-add-key", f, "ed25519", "sign", "0")
	sub := d.Fingerprints("alice")[1]
	sig, subSig := d.sign("2020-06-01", f, text), d.sign("2020-06-01", sub, text)
	refused(t, load(t, d.files(d.masters, f)), sig, ErrRevoked)
	refused(t, load(t, d.files(d.masters, f)), subSig, ErrRevoked)
	refused(t, load(t, d.files(d.masters, "", "# why", strings.ToLower(sub))), subSig, ErrRevoked)
	accepted(t, load(t, d.files(d.masters, sub)), sig)
	accepted(t, load(t, d.files(d.masters, d.masters[:2]...)), sig)
	refused(t, load(t, d.files(d.masters, d.masters[:3]...)), sig, ErrNotTrusted)
}

func TestSubkeyRevocation(t *testing.T) {
	d := newDistribution(t)
	f := d.packager("alice", "", 3)
	d.run("2016-01-01", "", "--quick-add-key", f, "ed25519", "sign", "0")
	d.run("2016-01-01", "", "--quick-add-key", f, "ed25519", "sign", "0")
	subs := d.Fingerprints("alice")[1:]
	for i, c := range []struct {
		reason string
		before error
	}{{compromised, ErrRevoked}, {retired, nil}} {
		before, after := d.sign("2020-06-01", subs[i], text), d.sign("2022-06-01", subs[i], text)
		key := "key 1\nrevkey\ny\n" + c.reason + "\n\ny\nsave\n"
		if i == 1 {
			key = "key 2\nrevkey\ny\n" + c.reason + "\n\ny\nsave\n"
		}
		d.Answer(clock("2021-01-01"), key, "--edit-key", f)
		k := load(t, d.files(d.masters))
		refused(t, k, after, ErrRevoked)
		if c.before != nil {
			refused(t, k, before, c.before)
		} else {
			accepted(t, k, before)
		}
	}
	accepted(t, load(t, d.files(d.masters)), d.sign("2022-06-01", f, text))
}

// Masters come and go: what they certified while they were in order counts.
func TestMasters(t *testing.T) {
	d := newDistribution(t)
	old := d.key("2015-01-01", "old", "2019-01-01")
	lost := d.key("2015-01-01", "lost", "")
	gone := d.key("2015-01-01", "gone", "")
	young := d.key("2021-01-01", "young", "")
	all := append([]string{old, lost, gone, young}, d.masters...)
	sign := func(name string, masters ...string) (before, after []byte) {
		f := d.key("2016-01-01", name, "")
		d.certify("2016-02-01", f, append(masters, d.masters[:2]...))
		return d.sign("2018-06-01", f, text), d.sign("2022-06-01", f, text)
	}
	oldBefore, oldAfter := sign("a", old)
	lostBefore, lostAfter := sign("b", lost)
	goneBefore, goneAfter := sign("c", gone)
	noneBefore, noneAfter := sign("d")
	d.certify("2021-06-01", d.Fingerprints("d")[0], []string{young})
	d.revoke("2020-01-01", lost, compromised)
	d.revoke("2020-01-01", gone, retired)
	k := load(t, d.files(all))
	accepted(t, k, oldBefore)
	refused(t, k, oldAfter, ErrNotTrusted)
	refused(t, k, lostBefore, ErrNotTrusted)
	refused(t, k, lostAfter, ErrNotTrusted)
	accepted(t, k, goneBefore)
	refused(t, k, goneAfter, ErrNotTrusted)
	// A certification that was made later vouches for earlier signatures.
	accepted(t, k, noneBefore)
	accepted(t, k, noneAfter)
	refused(t, load(t, d.files(d.masters)), noneAfter, ErrNotTrusted)
}

func TestCertifications(t *testing.T) {
	d := newDistribution(t)
	t.Run("that expire", func(t *testing.T) {
		f := d.packager("a", "", 2)
		before, after := d.sign("2016-06-01", f, text), d.sign("2020-06-01", f, text)
		d.certify("2016-02-01", f, d.masters[2:3], "--default-cert-expire=2y")
		k := load(t, d.files(d.masters))
		accepted(t, k, before)
		refused(t, k, after, ErrNotTrusted)
		d.run("2019-01-01", "", "--force-sign-key", "-u", d.masters[2], "--quick-sign-key", f)
		accepted(t, load(t, d.files(d.masters)), after)
	})
	t.Run("that are taken back", func(t *testing.T) {
		f := d.packager("b", "", 3)
		before, after := d.sign("2018-06-01", f, text), d.sign("2020-06-01", f, text)
		// The master takes it back, since the user ID is no longer valid.
		d.takeBack("2019-01-01", f, "4")
		k := load(t, d.files(d.masters))
		accepted(t, k, before)
		refused(t, k, after, ErrNotTrusted)
	})
	t.Run("that are taken back without a reason", func(t *testing.T) {
		f := d.packager("f", "", 3)
		before := d.sign("2018-06-01", f, text)
		d.takeBack("2019-01-01", f, noReason)
		refused(t, load(t, d.files(d.masters)), before, ErrNotTrusted)
		d.run("2019-06-01", "", "--force-sign-key", "-u", d.masters[0], "--quick-sign-key", f)
		accepted(t, load(t, d.files(d.masters)), before)
	})
	t.Run("by SHA-1", func(t *testing.T) {
		master := d.keyOf("rsa2048", "2015-01-01", "rsa", "")
		all := append([]string{master}, d.masters...)
		f := d.packager("c", "", 2)
		sig := d.sign("2020-06-01", f, text)
		d.certify("2019-01-18", f, all[:1], "--cert-digest-algo=SHA1", "--allow-weak-key-signatures")
		accepted(t, load(t, d.files(all)), sig)
		g := d.packager("d", "", 2)
		sig = d.sign("2020-06-01", g, text)
		d.certify("2019-01-20", g, all[:1], "--cert-digest-algo=SHA1", "--allow-weak-key-signatures")
		refused(t, load(t, d.files(all)), sig, ErrNotTrusted)
		refused(t, load(t, d.files(all)), d.sign("2020-06-01", master, text, "--digest-algo", "SHA1"), ErrWeakDigest)
		refused(t, load(t, d.files(all)), d.sign("2017-06-01", master, text, "--digest-algo", "RIPEMD160"), ErrWeakDigest)
	})
	t.Run("of which the maker checked nothing", func(t *testing.T) {
		f := d.packager("e", "", 2)
		sig := d.sign("2020-06-01", f, text)
		d.certify("2016-02-01", f, d.masters[2:3], "--default-cert-level=1")
		refused(t, load(t, d.files(d.masters)), sig, ErrNotTrusted)
	})
}
