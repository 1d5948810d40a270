package apt

import (
	"errors"
	"fmt"
	"strings"

	"github.com/samebits/samebits/distro/rootfs"
)

const keyHeader = "-----BEGIN PGP PUBLIC KEY BLOCK-----"

// parseSignedBy reads the value of Signed-By: one armored key, or paths and
// fingerprints between commas or white space.
func (t *Trust) parseSignedBy(value string) error {
	if strings.Contains(value, keyHeader) {
		var lines []string
		for line := range strings.Lines(value) {
			line = strings.TrimSpace(line)
			if line == "." { // how such files write an empty line
				line = ""
			}
			lines = append(lines, line)
		}
		t.Inline = append(t.Inline, strings.Join(lines, "\n")+"\n")
		return nil
	}
	words := strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' })
	if len(words) == 0 {
		return errors.New("Signed-By is empty")
	}
	for _, w := range words {
		if strings.HasPrefix(w, "/") {
			t.Keyrings = append(t.Keyrings, cleanPath(w))
			continue
		}
		hex, exact := strings.CutSuffix(w, "!")
		f := Fingerprint{Hex: strings.ToUpper(hex), Exact: exact}
		if len(hex) < 32 || strings.Trim(f.Hex, "0123456789ABCDEF") != "" {
			return fmt.Errorf("Signed-By has %q, which is neither an absolute path nor a whole fingerprint", w)
		}
		t.Fingerprints = append(t.Fingerprints, f)
	}
	return nil
}

// named reports whether the sources themselves say where the keys are.
func (t *Trust) named() bool { return len(t.Keyrings) > 0 || len(t.Inline) > 0 }

// trustedKeyrings lists the files with the keys that may sign repositories
// that name none: trusted.gpg and trusted.gpg.d.
func trustedKeyrings(root *rootfs.Root, o *Options) ([]string, error) {
	var out []string
	if name := o.File("Dir::Etc::trusted"); name != "" {
		if info, err := root.Stat(name); err == nil && info.Mode().IsRegular() && info.Size() > 0 {
			out = append(out, name)
		}
	}
	if dir := o.File("Dir::Etc::trustedparts"); dir != "" {
		names, err := parts(root, dir, "gpg", "asc")
		if err != nil {
			return nil, err
		}
		out = append(out, names...)
	}
	return out, nil
}
