package gpt_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/gpt"
)

// tabled makes a disk of 64 MiB with a program.
func tabled(t *testing.T, stdin string, argv ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(argv[0]); err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 64<<20); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(argv[0], append(argv[1:], path)...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Partitions keep their numbers, though others are not there.
func TestNumbers(t *testing.T) {
	b := tabled(t, "", "sgdisk", "-n", "2:0:+1M", "-n", "5:0:+1M", "-n", "128:0:+1M")
	table, err := gpt.Read(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := table.Numbers(bytes.NewReader(b)); err != nil || !slices.Equal(got, []int{2, 5, 128}) {
		t.Errorf("%v, %v", got, err)
	}
	clear(b[1024+128 : 1024+256]) // what was read is not there any more
	if _, err := table.Numbers(bytes.NewReader(b)); err == nil || !strings.Contains(err.Error(), "it has 2 partitions, and had 3") {
		t.Error(err)
	}
	if _, err := table.Numbers(bytes.NewReader(nil)); err == nil {
		t.Error("nothing has a table")
	}
}

func TestNumbersOfMasterBootRecords(t *testing.T) {
	b := tabled(t, "label: dos\n2: size=1M\n4: size=1M\n", "sfdisk", "-q")
	m, err := gpt.ReadMBR(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.Numbers(bytes.NewReader(b)); err != nil || !slices.Equal(got, []int{2, 4}) {
		t.Errorf("%v, %v", got, err)
	}
	m.Partitions = nil
	if _, err := m.Numbers(bytes.NewReader(b)); err == nil {
		t.Error("a record that changed has numbers")
	}
	if _, err := m.Numbers(bytes.NewReader(nil)); err == nil {
		t.Error("nothing has a record")
	}
}
