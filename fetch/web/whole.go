package web

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/samebits/samebits/fetch"
)

// whole is an answer with a file from its start.
func whole(resp *http.Response, req fetch.Request) (*fetch.Body, error) {
	body := &fetch.Body{ReadCloser: resp.Body, Size: resp.ContentLength, Validator: validator(resp.Header)}
	if coding := strings.ToLower(resp.Header.Get("Content-Encoding")); coding != "gzip" && coding != "x-gzip" {
		return body, nil
	}
	// It may be no more than what the server thinks of a file that lies there
	// compressed, as Apache does with AddEncoding.
	r := bufio.NewReaderSize(resp.Body, sniffed)
	head, _ := r.Peek(sniffed) // an error comes again when the rest is read
	if isPacked(head, req.Entry.Path) {
		resp.Body.Close()
		return nil, fetch.Permanent(errPacked)
	}
	body.ReadCloser = readCloser{r, resp.Body}
	return body, nil
}

var errPacked = errors.New("the server compresses the file on its way (Content-Encoding: gzip), which it was asked not to do; turn that off there")

// sniffed is how many bytes of a body are looked at, which are enough for the
// header of gzip.
const sniffed = 4 << 10

type readCloser struct {
	io.Reader
	io.Closer
}

var gzipMagic = []byte{0x1f, 0x8b}

// isPacked reports whether the head of a body is of gzip around the file with
// the path. Of one that is compressed itself that is only so if it is twice.
func isPacked(head []byte, file string) bool {
	z, err := gzip.NewReader(bytes.NewReader(head))
	if err != nil {
		return false
	}
	switch path.Ext(file) {
	case ".apk", ".gz", ".tgz":
		inner := make([]byte, len(gzipMagic))
		_, err := io.ReadFull(z, inner)
		return err == nil && bytes.Equal(inner, gzipMagic)
	}
	return true
}
