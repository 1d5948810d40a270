package web

import (
	"fmt"
	"strconv"
	"strings"
)

// A contentRange is what "Content-Range: bytes first-last/size" says.
type contentRange struct {
	first, last int64
	size        int64 // -1 where the server does not know
}

// parseContentRange reads the header of an answer with part of a file
// (RFC 9110, section 14.4).
func parseContentRange(s string) (contentRange, error) {
	bad := fmt.Errorf("the server's Content-Range %q cannot be read", s)
	rest, ok := strings.CutPrefix(s, "bytes ")
	if !ok {
		return contentRange{}, bad
	}
	span, size, ok1 := strings.Cut(rest, "/")
	first, last, ok2 := strings.Cut(span, "-")
	if !ok1 || !ok2 {
		return contentRange{}, bad
	}
	r := contentRange{size: -1}
	var err1, err2, err3 error
	r.first, err1 = number(first)
	r.last, err2 = number(last)
	if size != "*" {
		r.size, err3 = number(size)
	}
	if err1 != nil || err2 != nil || err3 != nil || r.first > r.last || (r.size >= 0 && r.last >= r.size) {
		return contentRange{}, bad
	}
	return r, nil
}

// number reads digits and nothing else.
func number(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 62)
	return int64(n), err
}
