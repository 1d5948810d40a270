package gpt_test

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/gpt"
)

func sampleMBR() gpt.MBR {
	return gpt.MBR{
		Signature: 0x5EED1234, BootCode: []byte{0xEB, 0xFE},
		Partitions: []gpt.MBRPartition{
			{Type: gpt.MBRFAT32, Active: true, Size: 10 << 20},
			{Type: gpt.MBRLinux, Size: 20<<20 + 1},
		},
	}
}

func TestMBR(t *testing.T) {
	want, err := sampleMBR().Layout()
	if err != nil {
		t.Fatal(err)
	}
	if p := want.Partitions; p[0].Start != 1<<20 || p[1].Start != 11<<20 || p[1].Size != 21<<20 || want.Size != 32<<20 {
		t.Errorf("%+v", want)
	}
	f := written(t, want.Size, want)
	got, err := gpt.ReadMBR(f, want.Size)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	raw, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	// Head, sector and cylinder of 1 MiB, and of the last sector before 11 MiB.
	if entry := raw[446:462]; !bytes.Equal(entry, []byte{0x80, 32, 33, 0, 0x0C, 102, 37, 1, 0, 8, 0, 0, 0, 0x50, 0, 0}) {
		t.Errorf("the first entry is % x", entry)
	}
}

func TestWhatAnMBRCannotBe(t *testing.T) {
	for complaint, change := range map[string]func(*gpt.MBR){
		"at most 4":            func(m *gpt.MBR) { m.Partitions = make([]gpt.MBRPartition, 5) },
		"boot code of 500":     func(m *gpt.MBR) { m.BootCode = make([]byte, 500) },
		"has no type":          func(m *gpt.MBR) { m.Partitions[1].Type = 0 },
		"multiples of 512":     func(m *gpt.MBR) { m.Partitions[1].Start = 1000 },
		"its start, 1048576, ": func(m *gpt.MBR) { m.Partitions[0].Size = 0 },
		"2 TiB only":           func(m *gpt.MBR) { m.Partitions[1].Size = 3 << 40 },
		"ends at byte":         func(m *gpt.MBR) { m.Size = 20 << 20 },
		"overlap":              func(m *gpt.MBR) { m.Partitions[1].Start = 2 << 20 },
		"too many":             func(m *gpt.MBR) { m.Partitions[1].Size = 1<<63 - 1 },
	} {
		m := sampleMBR()
		change(&m)
		if _, err := m.Layout(); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
	rest := sampleMBR()
	rest.Size, rest.Partitions[1].Size = 100<<20, gpt.Rest
	if laid, err := rest.Layout(); err != nil || laid.Partitions[1].Size != 89<<20 {
		t.Errorf("the rest: %+v, %v", laid, err)
	}
	if err := new(gpt.MBR).WriteTo(broken{}); err == nil {
		t.Error("an error of the disk is lost")
	}
}

func TestBadMBRs(t *testing.T) {
	good := make([]byte, 512)
	good[510], good[511] = 0x55, 0xAA
	if m, err := gpt.ReadMBR(bytes.NewReader(good), 512); err != nil || len(m.Partitions) > 0 || m.BootCode != nil {
		t.Errorf("%+v, %v", m, err)
	}
	for complaint, change := range map[string]func([]byte) []byte{
		"EOF":             func(b []byte) []byte { return b[:300] },
		"no signature":    func(b []byte) []byte { b[511] = 0; return b },
		"the status 0x12": func(b []byte) []byte { b[462], b[466] = 0x12, 1; return b },
	} {
		bad := change(bytes.Clone(good))
		if _, err := gpt.ReadMBR(bytes.NewReader(bad), int64(len(bad))); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

type broken struct{}

func (broken) WriteAt([]byte, int64) (int, error) { return 0, os.ErrClosed }

func FuzzReadMBR(f *testing.F) {
	m, err := sampleMBR().Layout()
	if err != nil {
		f.Fatal(err)
	}
	w := &sparse{make([]byte, 512), 1 << 30}
	if err := m.WriteTo(w); err != nil {
		f.Fatal(err)
	}
	f.Add(w.b)
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := gpt.ReadMBR(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		got.Size = 4 << 40
		again := &sparse{make([]byte, 512), 1 << 30}
		if err := got.WriteTo(again); err != nil {
			return
		}
		same, err := gpt.ReadMBR(bytes.NewReader(again.b), got.Size)
		if err != nil || !reflect.DeepEqual(same, got) {
			t.Fatalf("%+v\n%+v, %v", got, same, err)
		}
	})
}
