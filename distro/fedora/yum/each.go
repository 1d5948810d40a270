package yum

import (
	"fmt"
	"io"
)

// EachRecord reads a primary.xml as [ReadPrimary] does, and hands on each
// record instead of keeping all of them: those of Fedora take some hundred
// megabytes. An error of yield ends it and is returned as it is.
func EachRecord(r io.Reader, yield func(Record) error) error {
	var yielded error
	err := eachPackage(r, func(string) bool { return true }, func(element []byte) error {
		rec, ok, err := parseRecord(element)
		if err == nil && ok {
			yielded = yield(rec)
			err = yielded
		}
		return err
	})
	if err != nil && yielded == nil {
		return fmt.Errorf("read primary.xml: %w", err)
	}
	return err
}
