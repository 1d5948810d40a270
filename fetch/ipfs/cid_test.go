package ipfs

import (
	"bytes"
	"errors"
	"math/rand"
	"testing"
	"testing/iotest"

	"github.com/samebits/samebits/lockfile"
)

// sample returns n bytes that are the same in each run.
func sample(n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(int64(n))).Read(b)
	return b
}

// The addresses were made by kubo 0.42.0 of the same bytes, with
//
//	ipfs add -Q --only-hash --cid-version=1 --raw-leaves --chunker=size-C --max-file-links=L
//
// and C and L of the profile.
func TestCIDEqualsKubo(t *testing.T) {
	tests := []struct {
		profile Profile
		size    int
		want    string
	}{
		{UnixFS2025, 0, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"},
		{UnixFS2025, 1, "bafkreiemev2isidd7gk7352wxtqh6rwbuumt4vgnkkbx5wi6giaizt2bvq"},
		{UnixFS2025, 262143, "bafkreihty33nemj5iquuohrtbu73tppg4hvvl3s6smaojeovnkuz6ts7ky"},
		{UnixFS2025, 262144, "bafkreifxvurgimkfxptvoilcillipzbqvu5p4dg7wtumopeawhgiugnjwm"},
		{UnixFS2025, 262145, "bafkreibsl2tck2xzskaor6bmojem6aesip6qyl7tqjmbg7eja6kzkrante"},
		{UnixFS2025, 1<<20 - 1, "bafkreihbzmq6en5teeqj732t5mfqpsnhgsbridztd7nr6ae7njurdlxiny"},
		{UnixFS2025, 1 << 20, "bafkreihkpfsf3pdqeys6fjsfi2fh2lwacxjvgmknqd2hkykqkfl4zwkwkq"},
		{UnixFS2025, 1<<20 + 1, "bafybeieif3jrtsd2qzuklpxnodxvd2t2cp47hs7svby7gyuqzk4crbrjxu"},
		{UnixFS2025, 10 << 20, "bafybeibepyyl3kighl33nk7vznne35oho3ytvaogtcybiguowyy4dkx3la"},
		{UnixFS2025, 120 << 20, "bafybeigg64qlfnsoo4agkor6okx7qb5gjsb4jca23daprik55uhgwoquga"},
		{CIDv1, 0, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"},
		{CIDv1, 1, "bafkreiemev2isidd7gk7352wxtqh6rwbuumt4vgnkkbx5wi6giaizt2bvq"},
		{CIDv1, 262143, "bafkreihty33nemj5iquuohrtbu73tppg4hvvl3s6smaojeovnkuz6ts7ky"},
		{CIDv1, 262144, "bafkreifxvurgimkfxptvoilcillipzbqvu5p4dg7wtumopeawhgiugnjwm"},
		{CIDv1, 262145, "bafybeihazrwaw6jap6b4ueakkihngg4kiuus5migbr6oe6sh36nqxhmdju"},
		{CIDv1, 1<<20 - 1, "bafybeigsstzy4ydhsfbau4zc3qe3wl2zdjvvzjlkh6clupvku5qupyt6vm"},
		{CIDv1, 1 << 20, "bafybeibz3hdv5d6roycryrcisnufk5te6ujwo7jtxbc42by7lz65qeckxu"},
		{CIDv1, 1<<20 + 1, "bafybeie37bzvmgi5xphioa7hlq3g35erqykosdkuzg4awceunrc4feuvie"},
		{CIDv1, 10 << 20, "bafybeiajvrytdlv74j33qrkyi6dm7mn5hft42she2ztfx54roakzazwwe4"},
		{CIDv1, 120 << 20, "bafybeiegx7jpk5dgyngesifl6vxeox4t3oxgtkvwnmqif4mhw55plyh4vi"},
	}
	for _, tt := range tests {
		got, err := CID(bytes.NewReader(sample(tt.size)), tt.profile)
		if err != nil {
			t.Fatal(err)
		}
		if got != tt.want {
			t.Errorf("%d bytes in %s: %s, kubo gives %s", tt.size, tt.profile.Name, got, tt.want)
		}
	}
}

func TestCIDOfOneLeafFollowsFromDigest(t *testing.T) {
	data := sample(UnixFS2025.Chunk)
	got, err := CID(bytes.NewReader(data), UnixFS2025)
	if err != nil {
		t.Fatal(err)
	}
	if want := RawCID(lockfile.DigestOf(data)); got != want {
		t.Errorf("CID is %s, the digest gives %s", got, want)
	}
}

func TestCIDDoesNotDependOnReadSizes(t *testing.T) {
	data := sample(3*CIDv1.Chunk + 7)
	want, err := CID(bytes.NewReader(data), CIDv1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := CID(iotest.HalfReader(bytes.NewReader(data)), CIDv1)
	if err != nil || got != want {
		t.Errorf("in halves: %s, %v; want %s", got, err, want)
	}
}

func TestCIDReportsReadError(t *testing.T) {
	broken := errors.New("broken")
	if _, err := CID(iotest.ErrReader(broken), CIDv1); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
}

func TestProfileNamed(t *testing.T) {
	for _, p := range Profiles {
		if got, err := ProfileNamed(p.Name); err != nil || got != p {
			t.Errorf("ProfileNamed(%q) = %v, %v", p.Name, got, err)
		}
	}
	if _, err := ProfileNamed("no-such"); err == nil {
		t.Error("an unknown profile was found")
	}
}
