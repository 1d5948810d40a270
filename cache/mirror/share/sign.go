package share

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/fetch/s3"
)

// sign signs a request to an object store as "AWS Signature Version 4" says,
// with the digest of its body. All header fields that are set are signed.
func sign(req *http.Request, body []byte, login *s3.Login, region string, now time.Time) {
	sum := sha256.Sum256(body)
	payload := hex.EncodeToString(sum[:])
	stamp := now.UTC().Format("20060102T150405Z")
	req.Header.Set("X-Amz-Content-Sha256", payload)
	if login == nil {
		return
	}
	req.Header.Set("X-Amz-Date", stamp)
	if login.SessionToken != "" {
		req.Header.Set("X-Amz-Security-Token", login.SessionToken)
	}
	fields := map[string]string{"host": req.URL.Host}
	for name := range req.Header {
		fields[strings.ToLower(name)] = strings.TrimSpace(req.Header.Get(name))
	}
	var names []string
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	var lines strings.Builder
	for _, name := range names {
		lines.WriteString(name + ":" + fields[name] + "\n")
	}
	signed := strings.Join(names, ";")
	canonical := strings.Join([]string{req.Method, req.URL.EscapedPath(), req.URL.RawQuery, lines.String(), signed, payload}, "\n")
	hash := sha256.Sum256([]byte(canonical))
	scope := stamp[:8] + "/" + region + "/s3/aws4_request"
	text := "AWS4-HMAC-SHA256\n" + stamp + "\n" + scope + "\n" + hex.EncodeToString(hash[:])
	key := []byte("AWS4" + login.SecretKey)
	for _, part := range []string{stamp[:8], region, "s3", "aws4_request"} {
		key = mac(key, part)
	}
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+login.AccessKey+"/"+scope+", SignedHeaders="+signed+", Signature="+hex.EncodeToString(mac(key, text)))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// escape is the encoding that is signed: all but unreserved characters, and
// slashes where they are kept.
func escape(s string, slashes bool) string {
	s = strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~").Replace(url.QueryEscape(s))
	if slashes {
		s = strings.ReplaceAll(s, "%2F", "/")
	}
	return s
}
