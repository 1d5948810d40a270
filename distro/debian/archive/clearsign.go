package archive

import (
	"bytes"

	"github.com/samebits/samebits/distro/openpgp"
)

const (
	beginMessage   = "-----BEGIN PGP SIGNED MESSAGE-----"
	beginSignature = "-----BEGIN PGP SIGNATURE-----"
	endSignature   = "-----END PGP SIGNATURE-----"
)

// A clearsigned is a file of the cleartext signature framework (RFC 9580,
// section 7), taken apart.
type clearsigned struct {
	text      []byte // what was signed, with LF at the end of each line
	signed    []byte // the same as the signature has it: CRLF between lines
	signature []byte // armored
}

// splitClearsigned takes a clearsigned file apart. Where the framework lets
// others add text that is not signed (before, after, in armor headers, at the
// end of lines), the file is refused or the text dropped: nothing of it
// reaches the reader of text.
func splitClearsigned(data []byte) (*clearsigned, error) {
	line, rest := cutLine(data)
	if string(line) != beginMessage {
		return nil, openpgp.Malformed("it does not begin with %q", beginMessage)
	}
	for {
		if len(rest) == 0 {
			return nil, openpgp.Malformed("it ends within the head")
		}
		if line, rest = cutLine(rest); len(line) == 0 {
			break
		}
		if !bytes.HasPrefix(line, []byte("Hash: ")) {
			return nil, openpgp.Malformed("a line %q in the head", clip(line))
		}
	}
	c := &clearsigned{text: make([]byte, 0, len(rest)), signed: make([]byte, 0, len(rest)+len(rest)/32)}
	for first := true; ; first = false {
		if len(rest) == 0 {
			return nil, openpgp.Malformed("it ends before the signature")
		}
		before := rest
		line, rest = cutLine(rest)
		if string(line) == beginSignature {
			rest = before
			break
		}
		if len(line) > 0 && line[0] == '-' {
			if len(line) < 2 || line[1] != ' ' {
				return nil, openpgp.Malformed("a line %q in the text", clip(line))
			}
			line = line[2:]
		}
		if !first {
			c.signed = append(c.signed, '\r', '\n')
		}
		c.signed = append(c.signed, line...)
		c.text = append(append(c.text, line...), '\n')
	}
	end := bytes.Index(rest, []byte("\n"+endSignature))
	if end < 0 {
		return nil, openpgp.Malformed("the signature has no end")
	}
	end += len("\n" + endSignature)
	if after := bytes.TrimSpace(rest[end:]); len(after) > 0 {
		return nil, openpgp.Malformed("text %q follows the signature", clip(after))
	}
	c.signature = rest[:end]
	return c, nil
}

// cutLine returns the first line without its end and the white space before
// that, which no signature covers, and what follows.
func cutLine(b []byte) (line, rest []byte) {
	line = b
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		line, rest = b[:i], b[i+1:]
	}
	return bytes.TrimRight(line, " \t\r"), rest
}

func clip(b []byte) []byte { return b[:min(len(b), 60)] }
