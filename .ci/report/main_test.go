package main

import (
	"strings"
	"testing"
)

const run = `{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: wrong\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"--- FAIL: TestA (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestB","Output":"    b_test.go:9: nginx is not installed\n"}
{"Action":"output","Package":"p","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestB"}
{"Action":"skip","Package":"p","Test":"TestC/sub"}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
{"Action":"output","Package":"q","Output":"ok  \tq\t0.2s\n"}
{"Action":"pass","Package":"q"}
`

func TestReport(t *testing.T) {
	var out strings.Builder
	r, err := read(strings.NewReader(run), &out)
	if err != nil || !r.failed {
		t.Fatalf("read: %v, failed %v", err, r.failed)
	}
	if n := r.print(&out, "# comment\np TestC needs a kernel\n"); n != 1 {
		t.Errorf("%d unforeseen skips", n)
	}
	want := `=== RUN   TestA
    a_test.go:3: wrong
--- FAIL: TestA (0.00s)
FAIL
skipped: p TestB
    b_test.go:9: nginx is not installed
skipped, as allowed: p TestC/sub
2 tests skipped, 1 of them unforeseen
FAIL	p	0.1s
ok  	q	0.2s
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// A run that stopped before it began must not pass.
func TestNothingTested(t *testing.T) {
	for _, in := range []string{"", "go: no such package\n", `{"Action":"build-output","ImportPath":"p","Output":"x.go:1: syntax error\n"}` + "\n"} {
		var out strings.Builder
		if r, err := read(strings.NewReader(in), &out); err != nil || !r.failed || !strings.HasSuffix(out.String(), "no package was tested\n") {
			t.Errorf("%q: %v, %q", in, err, out.String())
		}
	}
}
