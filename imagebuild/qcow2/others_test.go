package qcow2_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/samebits/samebits/imagebuild/qcow2"
)

// What QEMU makes and is not read here is refused at once, not read wrongly.
func TestImagesOfQemuAreRefused(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base")
	qemuImg(t, "create", "-q", "-f", "qcow2", base, "1M")
	for complaint, argv := range map[string][]string{
		"it has a backing file":                        {"-b", base, "-F", "qcow2", "IMAGE"},
		"it is encrypted":                              {"--object", "secret,id=s,data=secret", "-o", "encrypt.format=aes,encrypt.key-secret=s", "IMAGE", "1M"},
		"features that are not known: 0x4":             {"-o", "data_file=" + base + ".data", "IMAGE", "1M"},
		"features that are not known: 0x10":            {"-o", "extended_l2=on,cluster_size=128k", "IMAGE", "1M"},
		"it has snapshots":                             {"IMAGE", "1M"},
		"its first table of 0 entries is not for 1048": {"IMAGE", "1M", "damage"},
	} {
		path := filepath.Join(t.TempDir(), "theirs")
		damage := argv[len(argv)-1] == "damage"
		if damage {
			argv = argv[:len(argv)-1]
		}
		all := []string{"create", "-q", "-f", "qcow2"}
		for _, a := range argv {
			all = append(all, strings.Replace(a, "IMAGE", path, 1))
		}
		qemuImg(t, all...)
		if strings.Contains(complaint, "snapshots") {
			qemuImg(t, "snapshot", "-c", "first", path)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if damage {
			clear(b[36:40])
		}
		if _, err := qcow2.Open(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

// Parts are read at any place, in any order and by several at once, over the ends
// of clusters and of the disk.
func TestReadsAtRandom(t *testing.T) {
	disk := sample()
	for name, kind := range kinds {
		f := image(t, bytes.NewReader(disk), int64(len(disk)), kind)
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		m, err := qcow2.Open(f, info.Size())
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for seed := range uint64(4) {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(seed, 1))
				for range 200 {
					at, length := r.IntN(len(disk)+10), r.IntN(3*cluster)
					if at%3 == 0 {
						at = at / cluster * cluster
					}
					b := bytes.Repeat([]byte{0xAA}, length)
					n, err := m.ReadAt(b, int64(at))
					want := disk[min(at, len(disk)):min(at+length, len(disk))]
					if !bytes.Equal(b[:n], want) || (err == io.EOF) != (len(want) < length) || err != nil && err != io.EOF {
						t.Errorf("%s: %d bytes at %d are %d, %v", name, length, at, n, err)
						return
					}
				}
			})
		}
		wg.Wait()
		if _, err := m.ReadAt(make([]byte, 1), -1); err == nil || err == io.EOF {
			t.Errorf("%s: before the beginning: %v", name, err)
		}
	}
}

// A cluster that the file ends in is an error where it is read, and no zeros.
func TestCutOff(t *testing.T) {
	disk := sample()
	raw, err := os.ReadFile(image(t, bytes.NewReader(disk), int64(len(disk)), qcow2.None).Name())
	if err != nil {
		t.Fatal(err)
	}
	// The tables are read where they lie; all behind the first data is gone.
	cut := bytes.NewReader(raw[:3*cluster])
	m, err := qcow2.Open(cut, int64(cut.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.ReadAt(make([]byte, 512), cluster); err == nil || !strings.Contains(err.Error(), "byte 65536 of the disk") {
		t.Errorf("the error is %v", err)
	}
}
