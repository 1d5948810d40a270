package yum

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEachRecordHandsOnWhatReadPrimaryReads(t *testing.T) {
	text := primaryHead + examplePackage("one", 1) + examplePackage("two", 2) + "</metadata>\n"
	want, err := ReadPrimary(strings.NewReader(text), all)
	if err != nil || len(want) != 2 {
		t.Fatal(len(want), err)
	}
	var got []Record
	err = EachRecord(strings.NewReader(text), func(r Record) error { got = append(got, r); return nil })
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Error(err, d)
	}
	enough, n := errors.New("enough"), 0
	if err := EachRecord(strings.NewReader(text), func(Record) error { n++; return enough }); err != enough || n != 1 {
		t.Error("its own error was not returned as it is, at once:", n, err)
	}
	if err := EachRecord(strings.NewReader(text[:len(text)-20]), func(Record) error { return nil }); err == nil {
		t.Error("an index that was cut short was read")
	}
}
