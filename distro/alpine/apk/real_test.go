package apk_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/samebits/samebits/distro/alpine/apk"
)

// realIndexes are the signed indexes of the real data, with how many packages
// each has.
var realIndexes = []struct {
	dir string
	n   int
}{
	{"iso-3.19.1/x86_64", 100},
	{"mirror/v3.19/main/x86_64", 5443},
	{"mirror/v3.19/community/x86_64", 17587},
	{"rpi-3.13.4-aarch64/apks/aarch64", 65},
}

func TestRealIndexes(t *testing.T) {
	keys := realKeys(t)
	for _, x := range realIndexes {
		t.Run(x.dir, func(t *testing.T) {
			index, err := apk.ReadIndex(bytes.NewReader(read(t, data(t, x.dir, "APKINDEX.tar.gz"))), keys)
			if err != nil {
				t.Fatal(err)
			}
			if len(index.Records) != x.n || index.Signer == "" {
				t.Errorf("%d packages signed by %q, want %d", len(index.Records), index.Signer, x.n)
			}
			for _, r := range index.Records {
				if len(r.Identity) != 20 || r.Size == 0 || r.Origin == "" || r.BuildTime.IsZero() || r.Unsupported || !apk.ValidVersion(r.Version) {
					t.Errorf("incomplete: %+v", r)
				}
			}
		})
	}
}

// TestRealPackages holds every real package against its signed index, and
// against its own signature alone.
func TestRealPackages(t *testing.T) {
	keys := realKeys(t)
	for _, x := range realIndexes {
		t.Run(x.dir, func(t *testing.T) {
			index, err := apk.ReadIndex(bytes.NewReader(read(t, data(t, x.dir, "APKINDEX.tar.gz"))), keys)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, r := range index.Records {
				f, err := os.Open(filepath.Join(data(t, x.dir), fmt.Sprintf("%s-%s.apk", r.Name, r.Version)))
				if os.IsNotExist(err) {
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				n++
				if err := apk.CheckPackage(f, r, keys); err != nil {
					t.Error(err)
				}
				if _, err := f.Seek(0, 0); err != nil {
					t.Fatal(err)
				}
				got, err := apk.ReadPackage(f)
				if err != nil || got.Name != r.Name || got.Version != r.Version || !bytes.Equal(got.Identity, r.Identity) {
					t.Errorf("%+v, %v", got, err)
				}
				if _, err := f.Seek(0, 0); err != nil {
					t.Fatal(err)
				}
				alone := apk.Record{Name: r.Name, Version: r.Version, Arch: r.Arch}
				if err := apk.CheckPackage(f, alone, keys); err != nil {
					t.Error(err)
				}
			}
			t.Logf("%d of %d packages are there", n, len(index.Records))
		})
	}
}

func BenchmarkReadIndexMain(b *testing.B)      { benchmarkIndex(b, "mirror/v3.19/main/x86_64") }
func BenchmarkReadIndexCommunity(b *testing.B) { benchmarkIndex(b, "mirror/v3.19/community/x86_64") }

func benchmarkIndex(b *testing.B, dir string) {
	keys := realKeys(b)
	index := read(b, data(b, dir, "APKINDEX.tar.gz"))
	b.SetBytes(int64(len(index)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := apk.ReadIndex(bytes.NewReader(index), keys); err != nil {
			b.Fatal(err)
		}
	}
}
