package lockfile

import (
	"bytes"
	"fmt"
	"testing"
)

func BenchmarkParse(b *testing.B) {
	l := &Lock{}
	for i := range 800 {
		name := fmt.Sprintf("pool/main/p/package-%d/package-%d_1.2-%d_amd64.deb", i, i, i)
		l.Entries = append(l.Entries, Entry{Digest: DigestOf([]byte(name)), Path: name, Archive: Archive{Name: "Debian"}})
	}
	if err := l.Sort(); err != nil {
		b.Fatal(err)
	}
	data := l.Format()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Parse("bench", bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
}
