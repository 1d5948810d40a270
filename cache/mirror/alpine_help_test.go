package mirror

import (
	"archive/tar"
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/samebits/samebits/distro/alpine/apk"
)

// sharedData is a path in the folder of real data.
func sharedData(t testing.TB, elements ...string) string {
	t.Helper()
	dir := os.Getenv("SAMEBITS_TEST_DATA")
	if dir == "" {
		dir = "../../../shared/data"
	}
	name := filepath.Join(append([]string{dir}, elements...)...)
	if _, err := os.Stat(name); err != nil {
		t.Skipf("no real data: %v", err)
	}
	return name
}

var alpineKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// testKeys are those that trust alpineKey.
func testKeys(t testing.TB) *apk.Keys {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(alpineKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := apk.NewKeys(map[string][]byte{"t.rsa.pub": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// member is a gzip member with a tar of files; one that is cut has no end.
func member(cut bool, at time.Time, files ...[2]string) []byte {
	var plain, out bytes.Buffer
	w := tar.NewWriter(&plain)
	for _, f := range files {
		_ = w.WriteHeader(&tar.Header{Name: f[0], Mode: 0o644, Size: int64(len(f[1])), ModTime: at, Format: tar.FormatUSTAR, Typeflag: tar.TypeReg})
		_, _ = w.Write([]byte(f[1]))
	}
	if _ = w.Flush(); !cut {
		_ = w.Close()
	}
	z := gzip.NewWriter(&out)
	_, _ = z.Write(plain.Bytes())
	_ = z.Close()
	return out.Bytes()
}

// an apkFile is a package and the record of it in an index.
type apkFile struct {
	name   string
	data   []byte
	record string
}

func newAPK(name, version string, size int, salt string) apkFile {
	at := time.Unix(1.6e9, 0)
	data := member(false, at, [2]string{"usr/share/" + name, strings.Repeat(name+version+salt, size/len(name+version+salt)+1)})
	control := member(true, at, [2]string{".PKGINFO", fmt.Sprintf("pkgname = %s\npkgver = %s\narch = noarch\nsize = 1\ndatahash = %x\n", name, version, sha256.Sum256(data))})
	id := sha1.Sum(control)
	f := apkFile{name: name + "-" + version + ".apk", data: slices.Concat(control, data)}
	f.record = fmt.Sprintf("C:Q1%s\nP:%s\nV:%s\nA:x86_64\nS:%d\nI:1\n\n", base64.StdEncoding.EncodeToString(id[:]), name, version, len(f.data))
	return f
}

// signedIndex is an APKINDEX.tar.gz of a time.
func signedIndex(t testing.TB, at time.Time, packages ...apkFile) []byte {
	t.Helper()
	var text strings.Builder
	for _, p := range packages {
		text.WriteString(p.record)
	}
	signed := member(false, at, [2]string{"DESCRIPTION", "t"}, [2]string{"APKINDEX", text.String()})
	sum := sha1.Sum(signed)
	signature, err := rsa.SignPKCS1v15(rand.Reader, alpineKey(), crypto.SHA1, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return append(member(true, at.Add(time.Hour), [2]string{".SIGN.RSA.t.rsa.pub", string(signature)}), signed...)
}

const alpineDir = "v3.20/main/x86_64/"

// alpineFiles are a repository's files at an origin.
func alpineFiles(t testing.TB, at time.Time, packages ...apkFile) map[string][]byte {
	files := map[string][]byte{alpineDir + apkIndex: signedIndex(t, at, packages...)}
	for _, p := range packages {
		files[alpineDir+p.name] = p.data
	}
	return files
}

func alpineAt(t testing.TB, o *origin) Upstream {
	return Upstream{Prefix: "alpine", URLs: []string{o.URL + "/debian"}, Format: &Alpine{Keys: testKeys(t), Archive: "Alpine"}}
}

func at(minutes int) time.Time { return time.Unix(1.7e9, 0).Add(time.Duration(minutes) * time.Minute) }
