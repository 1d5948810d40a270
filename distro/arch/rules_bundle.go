package arch

import (
	"bytes"
	"slices"
	"time"
)

// sortBundle sorts the certificates of a bundle in the PEM form (RFC 7468), each
// with the comments before it. Whoever looks one up looks through all. What is
// after the last stays there, and a text that has none is left as it is.
func sortBundle(_ string, bundle []byte, _ time.Time) ([]byte, error) {
	var blocks [][]byte
	start := 0
	for at := 0; at < len(bundle); {
		end := len(bundle)
		if i := bytes.IndexByte(bundle[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		if line := bundle[at:end]; bytes.HasPrefix(line, []byte("-----END ")) && line[len(line)-1] == '\n' {
			blocks = append(blocks, bundle[start:end])
			start = end
		}
		at = end
	}
	slices.SortFunc(blocks, bytes.Compare)
	return append(bytes.Join(blocks, nil), bundle[start:]...), nil
}
