package arch

import (
	"bytes"
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/samebits/samebits/distro"
)

//go:embed keys/archlinux*
var builtInKeys embed.FS

// snapshotBase is where the states of the past are, by day.
const snapshotBase = keeperBase + "/repos/{{.Timestamp}}"

// dayForm is how the archive writes a day.
const dayForm = "2006/01/02"

// known are the distributions whose mirrors are known, with the archive that
// these are of and the repositories that a system has.
var known = map[string]struct {
	archive    string
	components []string
}{
	"arch":    {archLinux, []string{"core", "extra"}},
	"archarm": {archLinuxARM, []string{"core", "extra", "alarm"}},
}

// archArch is Arch's word for an architecture in any usual spelling.
func archArch(name string) string {
	switch name {
	case "amd64", "x86-64", "x64":
		return "x86_64"
	case "arm64":
		return "aarch64"
	case "386", "i386":
		return "i686"
	case "arm", "armv7", "armhf":
		return "armv7h"
	}
	return name
}

// keyFiles returns the files of the keyring to trust, as a keyring package has
// them. A keyring without a list of whom it trusts is one whose every key is.
func (r *resolution) keyFiles() (map[string][]byte, error) {
	out := maps.Clone(r.Keyrings)
	if len(out) == 0 {
		if r.Distro != "arch" {
			return nil, distro.BadRequest("no keys of %s are built in; name its keyring with --keyring", r.Distro)
		}
		out = map[string][]byte{}
		for _, name := range []string{"archlinux.gpg", "archlinux-trusted", "archlinux-revoked"} {
			data, err := builtInKeys.ReadFile("keys/" + name)
			if err != nil {
				return nil, err
			}
			out[name] = data
		}
		return out, nil
	}
	for _, name := range slices.Sorted(maps.Keys(r.Keyrings)) {
		base, isKeys := strings.CutSuffix(name, ".gpg")
		if !isKeys && !strings.HasSuffix(name, "-trusted") && !strings.HasSuffix(name, "-revoked") {
			return nil, distro.BadRequest("the keyring %s is not called as pacman's are: NAME.gpg, NAME-trusted, NAME-revoked", name)
		}
		if !isKeys || out[base+"-trusted"] != nil {
			continue
		}
		list, err := openpgp.ReadKeyRing(bytes.NewReader(out[name]))
		if err != nil {
			return nil, distro.BadRequest("the keyring %s cannot be read: %v", name, err)
		}
		var trusted strings.Builder
		for _, e := range list {
			fmt.Fprintf(&trusted, "%X:4:\n", e.PrimaryKey.Fingerprint)
		}
		out[base+"-trusted"] = []byte(trusted.String())
	}
	return out, nil
}

// servers lists where the repositories are, as pacman.conf has it, the best
// first.
func (r *resolution) servers() []string {
	layout := arch64.layout
	if p, ok := publishers[r.Distro]; ok {
		layout = p.layout
	}
	bases := slices.Clone(r.mirrors)
	switch {
	case len(bases) > 0:
	case !r.Snapshot.IsZero():
		bases = []string{strings.ReplaceAll(snapshotBase, "{{.Timestamp}}", r.Snapshot.UTC().Format(dayForm))}
	default:
		for _, m := range append(slices.Clone(r.Near), Distro{}.Traits().Mirrors...) {
			if m.Archive == known[r.Distro].archive && !m.Keeper && !strings.Contains(m.URL, "{{") {
				bases = append(bases, strings.TrimRight(m.URL, "/"))
			}
		}
	}
	var out []string
	for _, b := range bases {
		if !strings.Contains(b, "$repo") {
			b += "/" + layout
		}
		if !slices.Contains(out, b) {
			out = append(out, b)
		}
	}
	return out
}
