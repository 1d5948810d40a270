package arch

import (
	"bytes"
	"slices"
	"time"
)

// sortBundle sorts the certificates of a bundle in the PEM form (RFC 7468), each
// with the comments before it. Whoever looks one up looks through all. Empty
// lines between them and what is after the last stay where they are, and a text
// that has none is left as it is.
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
	bare := make([][]byte, len(blocks))
	for i, b := range blocks {
		bare[i] = bytes.TrimLeft(b, "\n")
	}
	sorted := slices.SortedFunc(slices.Values(bare), bytes.Compare)
	out := make([]byte, 0, len(bundle))
	for i, b := range blocks {
		out = append(append(out, b[:len(b)-len(bare[i])]...), sorted[i]...)
	}
	return append(out, bundle[start:]...), nil
}
