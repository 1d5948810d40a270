package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/lockfile"
)

func TestParseWrk(t *testing.T) {
	const good = "Running 3s test @ http://h/x\n  135223 requests in 3.00s, 1.2GB read\nRequests/sec:  45074.33\nTransfer/sec:    413.46MB\n"
	if rate, err := parseWrk(good); rate != 45074.33 || err != nil {
		t.Error(rate, err)
	}
	for _, bad := range []string{"", "Requests/sec: many\n", good + "  Non-2xx or 3xx responses: 12\n", "  Socket errors: connect 0, read 3, write 0, timeout 0\n" + good} {
		if rate, err := parseWrk(bad); err == nil {
			t.Errorf("%q: %f", bad, rate)
		}
	}
}

func TestParseMemory(t *testing.T) {
	m, err := parseMemory("Name:\tx\nVmHWM:\t   80000 kB\nVmRSS:\t   70000 kB\nRssAnon:\t   50000 kB\n")
	if err != nil || m != (memory{70000 << 10, 50000 << 10, 80000 << 10}) {
		t.Error(m, err)
	}
	for _, bad := range []string{"", "VmHWM:\t1 kB\n", "VmHWM:\tx kB\nVmRSS:\t1 kB\n"} {
		if m, err := parseMemory(bad); err == nil {
			t.Errorf("%q: %v", bad, m)
		}
	}
}

func TestMiddle(t *testing.T) {
	if m := middle([]float64{9, 1, 3}); m != 3 {
		t.Error(m)
	}
	if m := middle([]float64{4, 2, 1, 3}); m != 2 {
		t.Error(m)
	}
}

// What the archive's Release names is there, and what its index names has the
// bytes that it says.
func TestArchiveIsConsistent(t *testing.T) {
	a := &archive{dir: t.TempDir()}
	if err := os.Mkdir(filepath.Join(a.dir, "pool"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := a.add("pool/x_1_all.deb", 5000); err != nil {
		t.Fatal(err)
	}
	if err := a.publish(); err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(a.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	index := read("dists/stable/main/binary-amd64/Packages")
	if want := lockfile.DigestOf(index).String(); !strings.Contains(string(read("dists/stable/Release")), want) {
		t.Error("the Release does not name the index")
	}
	data := read("pool/x_1_all.deb")
	if len(data) != 5000 || !strings.Contains(string(index), "Package: x\n") || !strings.Contains(string(index), "SHA256: "+lockfile.DigestOf(data).String()+"\n") {
		t.Errorf("%d bytes, named by\n%s", len(data), index)
	}
}

// A server's children count with it.
func TestFamily(t *testing.T) {
	dir := t.TempDir()
	cmd := pinned("sh", "-c", "exec 3<&0; sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo >"+dir+"/done; read end <&3' & read end")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{cmd: cmd, ended: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer func() {
		stdin.Close() // which both wait for
		cmd.Wait()
	}()
	for {
		if _, err := os.Stat(dir + "/done"); err == nil {
			break
		}
	}
	alone, err1 := s.cpu()
	all, err2 := s.family()
	if err1 != nil || err2 != nil || all <= alone {
		t.Errorf("%v alone, %v with the child; %v, %v", alone, all, err1, err2)
	}
}
