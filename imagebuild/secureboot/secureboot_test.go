package secureboot_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/secureboot"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/uki"
	"github.com/samebits/samebits/imagebuild/uki/ukitest"
	"github.com/samebits/samebits/imagebuild/vmtest"
)

func file(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func signer(t testing.TB) *secureboot.Signer {
	t.Helper()
	s, err := secureboot.NewSigner(file(t, "testdata/db.key"), file(t, "testdata/db.crt"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// program is a small EFI program with bytes behind its sections.
func program(behind int) []byte {
	return append(ukitest.Program(uki.AMD64, 512, nil), treetest.Random(1, behind)...)
}

func sign(t testing.TB, b []byte) []byte {
	t.Helper()
	s, err := signer(t).Sign(tree.Bytes(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return content(t, s)
}

func content(t testing.TB, s *secureboot.Signed) []byte {
	t.Helper()
	r, err := s.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil || int64(len(b)) != s.Size() {
		t.Fatalf("%d bytes of %d, %v", len(b), s.Size(), err)
	}
	return b
}

func signatures(t testing.TB, b []byte) []secureboot.Signature {
	t.Helper()
	list, err := secureboot.Signatures(tree.Bytes(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestGolden(t *testing.T) {
	sum := sha256.Sum256(sign(t, program(5)))
	const want = "2fa7051e6ae6afb49bd239c9a1f9236510524371bd2ccc223fa0c64025bab8d9"
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("the signed program has the digest %s, want %s", got, want)
	}
}

// What is signed holds, twice too, and no longer where a byte of it changes.
func TestSignatures(t *testing.T) {
	if list := signatures(t, program(0)); len(list) != 0 {
		t.Errorf("a program without a signature has %v", list)
	}
	for _, behind := range []int{0, 1, 7, 8, 100_003} {
		once := sign(t, program(behind))
		twice := sign(t, once)
		for n, b := range map[int][]byte{1: once, 2: twice} {
			list := signatures(t, b)
			if len(list) != n {
				t.Fatalf("%d signatures, want %d", len(list), n)
			}
			for _, s := range list {
				if s.Problem != nil || s.Signer != "CN=samebits test" || s.Issuer != s.Signer {
					t.Errorf("%d bytes behind the sections: %+v", behind, s)
				}
			}
			image, err := uki.Read(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			if told, is, err := image.Checksum(); err != nil || told != is || told == 0 {
				t.Errorf("the headers tell the sum %#x, which is %#x, %v", told, is, err)
			}
		}
	}
}

func TestChangedProgramIsTold(t *testing.T) {
	whole := sign(t, program(20))
	end := len(program(20)) + 4 // with what it is filled up by
	for _, at := range []int{70, 400, 511, 512, 1535, 1555, 1556} {
		b := bytes.Clone(whole)
		b[at] ^= 1
		list, err := secureboot.Signatures(tree.Bytes(b), int64(len(b)))
		if err == nil && (len(list) != 1 || list[0].Problem == nil) {
			t.Errorf("byte %d of %d is another, and the signature is %+v", at, end, list)
		}
	}
}

// Of the signature itself each byte counts, too, but for those of names.
func TestChangedSignatureIsTold(t *testing.T) {
	plain := program(0)
	whole := sign(t, plain)
	held := 0
	for at := len(plain) + 8; at < len(whole); at++ {
		b := bytes.Clone(whole)
		b[at] ^= 0x40
		list, err := secureboot.Signatures(tree.Bytes(b), int64(len(b)))
		if err == nil && len(list) == 1 && list[0].Problem == nil {
			held++
		}
	}
	// The certificate's own signature and extensions are not looked at, nor are
	// algorithms that are told twice.
	if most := 700; held > most {
		t.Errorf("%d of %d bytes can be others, want at most %d", held, len(whole)-len(plain), most)
	}
}

func TestForeignReaders(t *testing.T) {
	stub, err := os.ReadFile("/usr/lib/systemd/boot/efi/systemd-bootx64.efi")
	if err != nil {
		t.Skip("needs the package systemd-boot-efi: ", err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "signed.efi")
	for name, b := range map[string][]byte{
		"a boot loader": stub, "a kernel": file(t, vmtest.Kernel(t)), "an odd length": append(bytes.Clone(stub), 1, 2, 3),
	} {
		if err := os.WriteFile(path, sign(t, b), 0o644); err != nil {
			t.Fatal(err)
		}
		out := run(t, "sbverify", "--cert", "testdata/db.crt", path)
		if !strings.Contains(out, "Signature verification OK") {
			t.Errorf("%s: sbverify says:\n%s", name, out)
		}
		if len(signatures(t, b)) == 0 { // it reads no more than one signature
			run(t, "osslsigncode", "verify", "-CAfile", "testdata/db.crt", "-in", path)
		}
	}
}

// The kernel of Debian has a signature of Debian's, which stays.
func TestForeignSignature(t *testing.T) {
	b := file(t, vmtest.Kernel(t))
	before := signatures(t, b)
	if len(before) == 0 {
		t.Skip("needs a kernel that is signed")
	}
	after := signatures(t, sign(t, b))
	if len(after) != len(before)+1 || after[0].Signer != before[0].Signer || after[0].Problem != nil {
		t.Errorf("%+v, and after signing %+v", before, after)
	}
	if !strings.Contains(before[0].Signer, "Debian") {
		t.Errorf("the kernel is signed by %q", before[0].Signer)
	}
}

// What sbsign signs holds, and its digest is ours.
func TestForeignWriter(t *testing.T) {
	dir := t.TempDir()
	plain, signed := filepath.Join(dir, "plain.efi"), filepath.Join(dir, "signed.efi")
	if err := os.WriteFile(plain, program(3), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "sbsign", "--key", "testdata/db.key", "--cert", "testdata/db.crt", "--output", signed, plain)
	list := signatures(t, file(t, signed))
	if len(list) != 1 || list[0].Problem != nil || list[0].Signer != "CN=samebits test" {
		t.Errorf("%+v", list)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip("needs the packages sbsigntool, osslsigncode and openssl: ", err)
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func TestRefusedPrograms(t *testing.T) {
	le := binary.LittleEndian
	for name, c := range map[string]struct {
		change func(b []byte) []byte
		want   string
	}{
		"a text":            {func([]byte) []byte { return []byte(strings.Repeat("text ", 100)) }, "does not begin"},
		"nothing":           {func([]byte) []byte { return nil }, "EOF"},
		"cut":               {func(b []byte) []byte { return b[:800] }, "ends at byte"},
		"a gap":             {func(b []byte) []byte { le.PutUint32(b[348:], 520); return append(b, 0, 0, 0, 0, 0, 0, 0, 0) }, `section ".text" is at byte 520`},
		"no directory":      {func(b []byte) []byte { le.PutUint32(b[88+108:], 4); return b }, "no place"},
		"headers too short": {func(b []byte) []byte { le.PutUint32(b[88+60:], 100); return b }, "not 100"},
		"certificates elsewhere": {func(b []byte) []byte {
			le.PutUint32(b[88+144:], 1024)
			le.PutUint32(b[88+148:], 8)
			return append(b, make([]byte, 16)...)
		}, "certificates"},
		"certificates beyond":   {func(b []byte) []byte { le.PutUint32(b[88+144:], 1536); le.PutUint32(b[88+148:], 8); return b }, "certificates"},
		"certificates over all": {func(b []byte) []byte { le.PutUint32(b[88+144:], 512); le.PutUint32(b[88+148:], 1024); return b }, "its sections end"},
	} {
		b := c.change(program(0))
		_, err := signer(t).Sign(tree.Bytes(b), int64(len(b)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestNewSigner(t *testing.T) {
	key, crt := file(t, "testdata/db.key"), file(t, "testdata/db.crt")
	openssl := func(args ...string) []byte { return []byte(run(t, "openssl", args...)) }
	if _, err := secureboot.NewSigner(openssl("rsa", "-traditional", "-in", "testdata/db.key"), crt); err != nil {
		t.Errorf("a key of PKCS #1: %v", err)
	}
	for name, c := range map[string]struct {
		key, crt []byte
		want     string
	}{
		"no key":             {crt, crt, `it is a "CERTIFICATE"`},
		"nothing":            {nil, crt, "BEGIN PRIVATE KEY"},
		"no certificate":     {key, key, "BEGIN CERTIFICATE"},
		"of another key":     {key, file(t, "testdata/other.crt"), "CN=another is not that"},
		"encrypted":          {openssl("pkcs8", "-topk8", "-in", "testdata/db.key", "-passout", "pass:x"), crt, "openssl rsa"},
		"an elliptic curve":  {openssl("genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"), crt, "not of RSA"},
		"too short":          {openssl("genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"), crt, "1024 bits"},
		"a wrong key":        {[]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), crt, "the private key"},
		"wrong certificates": {key, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "the certificate"},
	} {
		if _, err := secureboot.NewSigner(c.key, c.crt); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Whatever a program has, reading its signatures ends.
func FuzzSignatures(f *testing.F) {
	f.Add(program(0))
	f.Add(sign(f, program(3)))
	f.Add(sign(f, sign(f, program(8))))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := secureboot.Signatures(tree.Bytes(b), int64(len(b)))
		for _, s := range list {
			if err == nil && s.Problem == nil && s.Signer == "" {
				t.Errorf("%+v", s)
			}
		}
	})
}
