package lockfile

import (
	"errors"
	"strings"
	"testing"
)

// Each bad input, the line that is at fault and what is said of it.
func TestParseBad(t *testing.T) {
	a := sumA + "  a.deb\n"
	tests := []struct {
		name, in string
		line     int
		message  string
	}{
		{"empty", "", 1, "neither an entry nor the line # samebits lock v1"},
		{"comments only", "# x\n# y\n", 2, "neither an entry nor"},
		{"directives only", "#: distro debian 12 amd64\n", 1, "neither an entry nor"},
		{"short digest", a + "abc  b.deb\n", 2, "64 hexadecimal digits, this has 3"},
		{"long digest", a + sumA + "a  b.deb\n", 2, "this has 65"},
		{"digest with another letter", strings.Replace(sumA, "a", "g", 1) + "  a\n", 1, "is not a SHA-256 in hexadecimal"},
		{"zero digest", strings.Repeat("0", 64) + "  a\n", 1, "all zeros"},
		{"zero digest in cid", a + "#: cid " + strings.Repeat("0", 64) + " Qm\n", 2, "all zeros"},
		{"sha512sum", strings.Repeat(sumA, 2) + "  a\n", 1, "this has 128"},
		{"tagged output", "SHA256 (a) = " + sumA + "\n", 1, "neither a comment nor an entry"},
		{"escaped output", `\` + sumA + `  a\nb` + "\n", 1, "neither a comment nor an entry"},
		{"indented entry", "  " + a, 1, "neither a comment nor an entry"},
		{"indented comment", a + " # x\n", 2, "neither a comment nor an entry"},
		{"digest alone", sumA + "\n", 1, "two spaces and a path must follow"},
		{"one space", sumA + " a.deb\n", 1, "two spaces and a path must follow"},
		{"tab", sumA + "\ta.deb\n", 1, "invisible character U+0009"},
		{"no path", sumA + "  \n", 1, "empty path"},
		{"no path, binary", sumA + " *\n", 1, "empty path"},
		{"dot alone", sumA + "  .\n", 1, "element"},
		{"dot slash alone", sumA + "  ./\n", 1, "empty path"},
		{"standard input", sumA + "  -\n", 1, "standard input"},
		{"standard input in hiding", sumA + "  ./-\n", 1, "standard input"},
		{"absolute", a + a + sumA + "  /etc/passwd\n", 3, "absolute path"},
		{"absolute behind a dot", sumA + "  .//etc/passwd\n", 1, "absolute path"},
		{"dot dot", sumA + "  ..\n", 1, "element"},
		{"climbing", sumA + "  ../../etc/passwd\n", 1, "element"},
		{"climbing inside", sumA + "  pool/../../x\n", 1, "element"},
		{"dot inside", sumA + "  pool/./x\n", 1, "element"},
		{"dot twice", sumA + "  ././x\n", 1, "element"},
		{"two slashes", sumA + "  pool//x\n", 1, "element"},
		{"slash at the end", sumA + "  pool/\n", 1, "element"},
		{"three spaces", sumA + "   a.deb\n", 1, "white space in the path"},
		{"space at the end", sumA + "  a.deb \n", 1, "white space in the path"},
		{"trailing garbage", sumA + "  a.deb # hello\n", 1, "white space in the path"},
		{"two names", sumA + "  a.deb b.deb\n", 1, "white space in the path"},
		{"no-break space", sumA + "  a\u00a0b\n", 1, "invisible character U+00A0"},
		{"zero width space", sumA + "  a\u200bb\n", 1, "invisible character U+200B"},
		{"soft hyphen", sumA + "  a\u00adb\n", 1, "invisible character U+00AD"},
		{"right to left", sumA + "  a\u202ebed\n", 1, "invisible character U+202E"},
		{"backslash", sumA + "  pool\\a.deb\n", 1, "backslash in the path"},
		{"NUL", a + sumB + "  b\x00.deb\n", 2, "invisible character U+0000"},
		{"escape sequence in a comment", a + "# \x1b[2J\n", 2, "invisible character U+001B"},
		{"DEL", sumA + "  a\x7f\n", 1, "invisible character U+007F"},
		{"C1 control", "# \u0085" + a, 1, "invisible character U+0085"},
		{"line separator in a comment", "# x\u2028" + a + a, 1, "invisible character U+2028"},
		{"bidi in a comment", "# x\u2066\n" + a, 1, "invisible character U+2066"},
		{"blank line of no-break spaces", a + "\u00a0\n", 2, "invisible character U+00A0"},
		{"no-break space in a directive", "#: distro debian\u00a012 amd64\n" + a, 1, "invisible character U+00A0"},
		{"ideographic space in a directive", "#: archive A\u3000B\n" + a, 1, "invisible character U+3000"},
		{"not UTF-8", a + sumB + "  b\xff\n", 2, "not UTF-8"},
		{"not UTF-8 in a comment", "# \xe4\n" + a, 1, "not UTF-8"},
		{"UTF-16", "\xff\xfea\x00", 1, "not UTF-8"},
		{"gzip", "\x1f\x8b\x08\x00\n", 1, "not UTF-8"},
		{"byte order mark", "\ufeff" + a, 1, "byte order mark"},
		{"byte order mark before the version", "\ufeff# samebits lock v1\n" + a, 1, "byte order mark"},
		{"CRLF", "# samebits lock v1\r\n" + a, 1, "Unix line ends"},
		{"CRLF of an entry", sumA + "  a.deb\r\n", 1, "Unix line ends"},
		{"CR inside", sumA + "  a\rb.deb\n", 1, "invisible character U+000D"},
		{"long line", a + "#" + strings.Repeat("x", maxLine) + "\n", 2, "longer than 16384 bytes"},
		{"long path", sumA + "  " + strings.Repeat("x", maxPath+1) + "\n", 1, "longer than 4096 bytes"},
		{"large file", strings.Repeat("#"+strings.Repeat("x", maxLine-2)+"\n", maxFile/maxLine) + "#", maxFile/maxLine + 1, "larger than 32 MiB"},
		{"other version", "# samebits lock v2\n" + a, 1, "newer samebits may"},
		{"other version of two digits", "# samebits lock v10\n" + a, 1, "newer samebits may"},
		{"version with garbage", "# samebits lock v1 \n" + a, 1, "newer samebits may"},
		{"other version below", "\n# samebits lock v2\n" + a, 2, "newer samebits may"},
		{"two files in one", "# samebits lock v1\n" + a + "# samebits lock v1\n" + a, 3, "merged, not appended"},
		{"version below a comment", "# x\n# samebits lock v1\n" + a, 2, "merged, not appended"},
		{"two digests", a + sumC + "  c.deb\n" + sumB + "  a.deb\n", 3, "a second digest for a.deb, which line 1 gives another"},
		{"two digests, spelt differently", a + sumB + " *./a.deb\n", 2, "a second digest"},
		{"two digests in two archives", "#: archive A\n" + a + "#: archive B\n" + sumB + "  a.deb\n", 4, "a second digest"},
		{"no directive", a + "#:\n", 2, "none follows"},
		{"no directive but space", a + "#: \n", 2, "none follows"},
		{"unknown directive", a + "#: frobnicate\n", 2, `unknown directive "frobnicate"`},
		{"directive in capitals", a + "#: Archive X\n", 2, "unknown directive"},
		{"distro short", "#: distro debian 12\n" + a, 1, "wants a distribution"},
		{"distro long", "#: distro debian 12 amd64 x\n" + a, 1, "wants a distribution"},
		{"two systems", "#: distro debian 12 amd64\n#: distro debian 12 arm64\n" + a, 2, "two systems in one lock"},
		{"date missing", "#: date\n" + a, 1, "wants a time"},
		{"date without time", "#: date 2026-11-15\n" + a, 1, "is not a time"},
		{"date with a zone", "#: date 2026-11-15T09:12:33+00:00\n" + a, 1, "is not a time"},
		{"date with a fraction", "#: date 2026-11-15T09:12:33.5Z\n" + a, 1, "is not a time"},
		{"date with a short hour", "#: date 2026-11-15T9:12:33Z\n" + a, 1, "is not a time"},
		{"date that is none", "#: date 2026-02-30T09:12:33Z\n" + a, 1, "is not a time"},
		{"date of year one", "#: date 0001-01-01T00:00:00Z\n" + a, 1, "is not a time"},
		{"two dates", "#: date 2026-11-15T09:12:33Z\n#: date 2026-11-15T09:12:34Z\n" + a, 2, "two dates in one lock"},
		{"archive without a name", "#: archive\n" + a, 1, "wants a name"},
		{"archive with too much", "#: archive A https://a.example/ x\n" + a, 1, "wants a name"},
		{"archive with no URL", "#: archive A B\n" + a, 1, "is not a URL"},
		{"archive with a path", "#: archive A /srv/debian\n" + a, 1, "is not a URL"},
		{"archive with a bad URL", "#: archive A http://[::1\n" + a, 1, "is not a URL"},
		{"unsigned with more", "#: unsigned yes\n" + a, 1, "wants nothing after it"},
		{"missing short", a + "#: missing hello 2.10\n", 2, "wants a package's name"},
		{"cid short", a + "#: cid " + sumA + "\n", 2, "wants a SHA-256"},
		{"cid without a digest", a + "#: cid Qm Qm\n", 2, "64 hexadecimal digits"},
		{"cid with a path", a + "#: cid " + sumA + " Qm/x\n", 2, "is not an IPFS address"},
		{"IPFS line with a path", a + sumA + "  /ipfs/Qm/x\n", 2, "is not an IPFS address"},
		{"IPFS line that climbs", a + sumA + "  /ipfs/../etc\n", 2, "is not an IPFS address"},
		{"IPFS line without an address", a + sumA + "  /ipfs/\n", 2, "empty IPFS address"},
		{"IPNS line", a + sumA + "  /ipns/x\n", 2, "absolute path"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := Parse("dir/X SUMS", strings.NewReader(tt.in))
			if l != nil {
				t.Error("a lock came with the error")
			}
			var pe *ParseError
			if !errors.As(err, &pe) {
				t.Fatalf("not a ParseError: %v", err)
			}
			if pe.File != "dir/X SUMS" || pe.Line != tt.line || !strings.Contains(pe.Err.Error(), tt.message) {
				t.Errorf("got  %v\nwant line %d, %q", err, tt.line, tt.message)
			}
			if strings.ContainsAny(err.Error(), "\x00\x1b\r\u202e") {
				t.Errorf("the message is as harmful as the input: %q", err)
			}
		})
	}
}

// The limits are what they say.
func TestLimits(t *testing.T) {
	path := strings.Repeat("x", maxPath)
	if l := mustParse(t, sumA+"  "+path+"\n#"+strings.Repeat("c", maxLine-1)+"\n"); l.Entries[0].Path != path || len(l.Trailer[0]) != maxLine {
		t.Error("the longest path or line did not survive")
	}
	line := "#" + strings.Repeat("x", maxLine-2) + "\n"
	rest := maxFile - len(versionLine) - 1
	full := versionLine + "\n" + strings.Repeat(line, rest/len(line)) + "#" + strings.Repeat("y", rest%len(line)-2) + "\n"
	if len(full) != maxFile {
		t.Fatalf("built %d bytes", len(full))
	}
	mustParse(t, full)
}

func TestCheckPath(t *testing.T) {
	for _, good := range []string{"a", "a/b", "...", "..a", "a..", "a/..b", ".a", "-a", "*a", "#a", "pool/a_1%3a2+b~c.deb", "日本/ü"} {
		if err := CheckPath(good); err != nil {
			t.Errorf("CheckPath(%q) = %v", good, err)
		}
	}
	for _, bad := range []string{"", ".", "..", "-", "/", "/a", "a/", "a//b", "./a", "../a", "a/..", "a/../b", "a/.", `a\b`, "a b", " a", "a\t", "a\nb", "a\x00", "a\xff", "a\u00a0", "a\u202e", "a\ufeff", strings.Repeat("a/", 3000) + "a"} {
		if err := CheckPath(bad); err == nil {
			t.Errorf("CheckPath(%q) accepts it", bad)
		}
	}
}
