package debian

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/samebits/samebits/distro"
)

// TestBuiltInKeys tells which keys are there, and that each can be read.
func TestBuiltInKeys(t *testing.T) {
	for _, k := range knownDistros {
		for _, at := range []time.Time{{}, dayOne} {
			r := &resolving{ResolveRequest: distro.ResolveRequest{Distro: k.id, Snapshot: at}, known: &k}
			keys, err := r.readKeys()
			if err != nil || keys == nil {
				t.Errorf("%s: %v", k.id, err)
			}
		}
		for _, name := range slices.Concat(k.keyrings, k.past) {
			data, err := builtInKeys.ReadFile("keys/" + name)
			if err != nil {
				t.Fatal(err)
			}
			list, err := openpgp.ReadKeyRing(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range list {
				for id := range e.Identities {
					t.Logf("%s: %X %s", name, e.PrimaryKey.Fingerprint, id)
				}
			}
		}
	}
}

func FuzzParseSimulation(f *testing.F) {
	f.Add("Reading package lists...\nInst libc6 (2.41-12 Debian:13.1/stable, Debian-Security:13/stable-security [arm64]) []\nConf libc6 (2.41-12 [arm64])\n")
	f.Add("Inst g++ (4:14 Debian:13/trixie [amd64])\nInst a [1] (2 x [all])\nInst x:i386 (1 [i386])\n")
	f.Fuzz(func(t *testing.T, text string) {
		packages, err := parseSimulation(strings.NewReader(text))
		if err != nil {
			return
		}
		var again strings.Builder
		for _, p := range packages {
			fmt.Fprintf(&again, "Inst %s (%s x [%s])\n", p.Name, p.Version, p.Arch)
		}
		same, err := parseSimulation(strings.NewReader(again.String()))
		if err != nil || !slices.Equal(same, packages) {
			t.Errorf("%v %v, %v", packages, same, err)
		}
	})
}

func TestParseSimulation(t *testing.T) {
	got, err := parseSimulation(strings.NewReader("NOTE: simulated\nInst g++ (4:14 Debian:13/trixie [amd64])\nInst libc6:i386 (2.41 Debian:13 [i386]) []\n"))
	want := []distro.Package{thePackage("g++", "4:14", "amd64"), thePackage("libc6", "2.41", "i386")}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "nothing to do\n", "Inst x\n", "Inst ../x (1 y [amd64])\n"} {
		if got, err := parseSimulation(strings.NewReader(bad)); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}
