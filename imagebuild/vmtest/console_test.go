package vmtest

import (
	"bytes"
	"testing"
)

type keyboard struct{ bytes.Buffer }

func (*keyboard) Close() error { return nil }

// Each text is typed once, when what it waits for has come since the last one,
// however it was cut in pieces.
func TestTypist(t *testing.T) {
	var keys keyboard
	var out bytes.Buffer
	p := &typist{to: &out, keys: &keys, typed: []Typed{{"login: ", "root\n"}, {"# ", "one\n"}, {"# ", "two\n"}, {"end", "three\n"}}}
	for _, c := range []struct{ written, typed string }{
		{"# appliance lo", ""},
		{"gin: ", "root\n"},
		{"root\n/ #", ""},
		{" ", "one\n"},
		{"one\nlogin: ", ""},
		{"/ # the end", "two\nthree\n"},
		{"login: / # end", ""},
	} {
		keys.Reset()
		if n, err := p.Write([]byte(c.written)); n != len(c.written) || err != nil {
			t.Fatal(n, err)
		}
		if got := keys.String(); got != c.typed {
			t.Errorf("after %q, %q was typed, not %q", c.written, got, c.typed)
		}
	}
	if got := out.String(); got != "# appliance login: root\n/ # one\nlogin: / # the endlogin: / # end" {
		t.Errorf("it passed on %q", got)
	}
}
