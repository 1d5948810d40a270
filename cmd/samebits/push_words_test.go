package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

func TestTellUnsent(t *testing.T) {
	var failed []fetch.PushFailure
	for i := range 8 {
		e := lockfile.Entry{Path: fmt.Sprintf("pool/%d.deb", i)}
		err := errors.New("no route")
		switch i {
		case 1:
			err = fmt.Errorf("%s: no route", e.Path) // not told twice
		case 7:
			err = &cache.DamagedError{}
		}
		failed = append(failed, fetch.PushFailure{Entry: e, Err: err})
	}
	for _, verbose := range []bool{false, true} {
		p, _, stderr := testProgram()
		s := &session{program: p, lines: stderr, verbose: verbose}
		if n := s.tellUnsent(failed); n != 1 {
			t.Errorf("%d damaged files, want 1", n)
		}
		got := stderr.String()
		if !strings.HasPrefix(got, "not sent: pool/0.deb: no route\nnot sent: pool/1.deb: no route\n") {
			t.Errorf("%s", got)
		}
		if strings.Contains(got, "not sent: 3 more; --verbose tells why\n") == verbose || strings.Contains(got, "pool/6.deb") != verbose {
			t.Errorf("verbose %t: %s", verbose, got)
		}
	}
}
