package mirror

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answers sends bytes as they are and returns the codes of all answers, until
// the mirror ends the connection or has nothing more to say.
func (r *rig) answers(text string) (codes []int, ended bool) {
	r.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, text)
	// What may come after is one more request, so that there is an end to wait
	// for also where the connection goes on.
	_, _ = io.WriteString(conn, "GET /blob/sha256/end HTTP/1.1\r\nHost: end\r\nConnection: close\r\n\r\n")
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	in := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			// A connection that is reset with bytes unread has ended too.
			return codes, true
		}
		codes = append(codes, resp.StatusCode)
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return codes, true
		}
		if bytes.HasPrefix(body, []byte("a digest has 64")) {
			return codes[:len(codes)-1], false
		}
	}
}

// A request whose end two readers could see in different places is the last of
// its connection and is refused: what comes after it is answered by nobody.
func TestSmuggling(t *testing.T) {
	_, o, r := simple(t, nil)
	updated(r)
	const hidden = "GET /debian/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	const chunked = "0\r\n\r\n" + hidden
	length := "Content-Length: " + itoa(len(hidden)) + "\r\n"
	for name, rest := range map[string]string{
		"length and chunks":          "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
		"chunks and length":          "Transfer-Encoding: chunked\r\nContent-Length: " + itoa(len(chunked)) + "\r\n\r\n" + chunked,
		"chunks and no length":       "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n" + chunked,
		"two lengths":                "Content-Length: 0\r\n" + length + "\r\n" + hidden,
		"two lengths, turned":        length + "Content-Length: 0\r\n\r\n" + hidden,
		"a length twice":             length + length + "\r\n" + hidden,
		"a list of lengths":          "Content-Length: 0, " + itoa(len(hidden)) + "\r\n\r\n" + hidden,
		"a signed length":            "Content-Length: +" + itoa(len(hidden)) + "\r\n\r\n" + hidden,
		"a negative length":          "Content-Length: -1\r\n\r\n" + hidden,
		"a hexadecimal length":       "Content-Length: 0x10\r\n\r\n" + hidden,
		"an endless length":          "Content-Length: 99999999999999999999\r\n\r\n" + hidden,
		"an empty length":            "Content-Length:\r\n\r\n" + hidden,
		"a folded length":            "Content-Length:\r\n " + itoa(len(hidden)) + "\r\n\r\n" + hidden,
		"a length in a folded line":  "X-A: b\r\n Content-Length: 0\r\n" + length + "\r\n" + hidden,
		"a body":                     length + "\r\n" + hidden,
		"a body that is waited for":  "Expect: 100-continue\r\n" + length + "\r\n" + hidden,
		"chunks":                     "Transfer-Encoding: chunked\r\n\r\n" + chunked,
		"folded chunks":              "Transfer-Encoding:\r\n chunked\r\n\r\n" + chunked,
		"chunks, spelt otherwise":    "Transfer-Encoding: cHuNkEd\r\n\r\n" + chunked,
		"chunks, twice":              "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked,
		"chunks in a list":           "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunked,
		"chunks and identity":        "Transfer-Encoding: chunked, identity\r\n\r\n" + chunked,
		"another encoding":           "Transfer-Encoding: xchunked\r\n\r\n" + chunked,
		"an encoding after a tab":    "Transfer-Encoding:\tchunked\r\n\r\n" + chunked,
		"an encoding in control":     "Transfer-Encoding: \x0bchunked\r\n\r\n" + chunked,
		"a space before the colon":   "Transfer-Encoding : chunked\r\n\r\n" + chunked,
		"a length before the colon":  "Content-Length : " + itoa(len(hidden)) + "\r\n\r\n" + hidden,
		"a field without a name":     ": x\r\n\r\n" + hidden,
		"a line without a colon":     "Transfer-Encoding chunked\r\n\r\n" + chunked,
		"a return within a field":    "X: a\rTransfer-Encoding: chunked\r\n\r\n" + chunked,
		"a zero within a field":      "X: a\x00\r\n" + length + "\r\n" + hidden,
		"chunks of a bad size":       "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + hidden,
		"chunks of an endless size":  "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + hidden,
		"chunks with bare ends":      "Transfer-Encoding: chunked\n\n0\n\n" + hidden,
		"a body, without line feeds": "Content-Length: " + itoa(len(hidden)) + "\n\n" + hidden,
	} {
		for _, target := range []string{smallPath, o.URL + "/debian/" + smallDeb, "/", "/healthz", "/api/status", "/api/snapshot"} {
			host := "a"
			if strings.HasPrefix(target, "http") {
				host = strings.TrimPrefix(o.URL, "http://")
			}
			for _, method := range []string{"GET", "POST"} {
				codes, ended := r.answers(method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + rest)
				if len(codes) != 1 || codes[0] < 400 || !ended {
					t.Errorf("%s, %s %s: answers %d, and the connection ends: %t", name, method, target, codes, ended)
				}
			}
		}
	}
	if n := o.count("smuggled"); n > 0 {
		t.Errorf("upstream was asked %d times for what was smuggled in", n)
	}
}

// What is odd of a request's head alone does not get through either.
func TestOddHeads(t *testing.T) {
	_, o, r := simple(t, nil)
	updated(r)
	get := "GET " + smallPath + " HTTP/1.1\r\n"
	for name, text := range map[string]string{
		"two hosts":           get + "Host: a\r\nHost: b\r\n\r\n",
		"no host":             get + "\r\n",
		"a folded host":       get + "Host: a\r\n X: b\r\n\r\n",
		"a host with a path":  get + "Host: a/b\r\n\r\n",
		"no version":          "GET " + smallPath + "\r\n\r\n",
		"another version":     "GET " + smallPath + " HTTP/3.7\r\nHost: a\r\n\r\n",
		"HTTP/2 by knowledge": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"a space in the path": "GET " + smallPath + " x HTTP/1.1\r\nHost: a\r\n\r\n",
		"a method of signs":   "G(T " + smallPath + " HTTP/1.1\r\nHost: a\r\n\r\n",
		"any method":          "PURGE " + smallPath + " HTTP/1.1\r\nHost: a\r\n\r\n",
		"the server itself":   "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"a trace":             "TRACE / HTTP/1.1\r\nHost: a\r\nAuthorization: secret\r\n\r\n",
		"another host inside": "GET " + o.URL + "@127.0.0.1:1/debian/x HTTP/1.1\r\nHost: a\r\n\r\n",
	} {
		code, answer := r.raw(text)
		if code == 200 && name != "the server itself" || strings.Contains(answer, "secret") {
			t.Errorf("%s: %.100q", name, answer)
		}
	}
	// An upgrade is not taken up.
	if code, answer := r.raw(get + "Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"); code != 200 {
		t.Errorf("an offer of HTTP/2: %.100q", answer)
	}
}
