package vmtest

import (
	"bytes"
	"io"
	"os/exec"
	"testing"
)

// Typed is what is typed at a machine's serial console.
type Typed struct {
	// After is what the machine has to have written since what was typed before.
	After string
	Text  string // with its "\n"
}

// A typist passes on what a machine writes, and types what its prompts ask for.
type typist struct {
	to    *bytes.Buffer
	typed []Typed // what is still to be typed
	seen  int     // how many bytes went by before the last of it was
	keys  io.WriteCloser
}

func newTypist(t testing.TB, cmd *exec.Cmd, typed []Typed, to *bytes.Buffer) *typist {
	t.Helper()
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	return &typist{to: to, typed: typed, keys: keys}
}

func (p *typist) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	for len(p.typed) > 0 {
		next := p.typed[0]
		at := bytes.Index(p.to.Bytes()[p.seen:], []byte(next.After))
		if at < 0 {
			break
		}
		p.seen += at + len(next.After)
		p.typed = p.typed[1:]
		// A machine that ended meanwhile reads nothing.
		_, _ = io.WriteString(p.keys, next.Text)
	}
	return n, err
}
