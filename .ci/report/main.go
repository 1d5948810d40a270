// Command report reads the output of "go test -json" and prints what "go test"
// prints: the output of what failed, then a line for each package. Before
// those lines it lists the tests that were skipped, with their reasons.
//
// It exits with 1 if a test failed and, where the environment variable
// SAMEBITS_NO_SKIP is 1, if a test was skipped that the file named as its
// argument does not allow.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is a line of "go test -json", as "go doc test2json" describes it.
type event struct {
	Action, Package, Test, Output, ImportPath string
}

// result is what a run came to.
type result struct {
	packages []string // the closing lines of packages, as printed
	skipped  []test
	failed   bool
}

type test struct{ pkg, name, output string }

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go test -json ./... | report ALLOWED-SKIPS")
		os.Exit(2)
	}
	allowed, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	r, err := read(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "report: reading the output of go test:", err)
		os.Exit(1)
	}
	unforeseen := r.print(os.Stdout, string(allowed))
	if r.failed || (unforeseen > 0 && os.Getenv("SAMEBITS_NO_SKIP") == "1") {
		os.Exit(1)
	}
}

// read goes through the events, and prints the output of what failed at once.
func read(in io.Reader, out io.Writer) (*result, error) {
	r := &result{}
	outputs := map[[2]string]*strings.Builder{}
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, 64<<20)
	for sc.Scan() {
		var e event
		if json.Unmarshal(sc.Bytes(), &e) != nil {
			fmt.Fprintln(out, sc.Text()) // of the go command itself
			continue
		}
		key := [2]string{e.Package, e.Test}
		switch e.Action {
		case "output":
			if outputs[key] == nil {
				outputs[key] = &strings.Builder{}
			}
			outputs[key].WriteString(e.Output)
		case "build-output":
			fmt.Fprint(out, e.Output)
		case "pass", "fail", "skip":
			var text string
			if b := outputs[key]; b != nil {
				text = b.String()
				delete(outputs, key)
			}
			r.finish(e, text, out)
		}
	}
	if len(r.packages) == 0 {
		fmt.Fprintln(out, "no package was tested")
		r.failed = true
	}
	return r, sc.Err()
}

// finish takes note of a test or, where the event names none, of a package.
func (r *result) finish(e event, text string, out io.Writer) {
	r.failed = r.failed || e.Action == "fail"
	if e.Test == "" {
		lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
		closing := lines[len(lines)-1]
		if e.Action == "fail" {
			fmt.Fprint(out, strings.Join(lines[:len(lines)-1], ""))
			if closing == "" {
				closing = "FAIL\t" + e.Package
			}
		}
		r.packages = append(r.packages, closing)
		return
	}
	switch e.Action {
	case "fail":
		fmt.Fprint(out, text)
	case "skip":
		r.skipped = append(r.skipped, test{e.Package, e.Test, text})
	}
}

// print lists skipped tests and packages. It returns how many of the skipped
// tests are not allowed to be.
func (r *result) print(out io.Writer, allowed string) int {
	may := map[string]bool{}
	for line := range strings.Lines(allowed) {
		if f := strings.Fields(line); len(f) >= 2 && !strings.HasPrefix(line, "#") {
			may[f[0]+" "+f[1]] = true
		}
	}
	var unforeseen int
	for _, t := range r.skipped {
		parent, _, _ := strings.Cut(t.name, "/")
		note := "skipped, as allowed:"
		if !may[t.pkg+" "+t.name] && !may[t.pkg+" "+parent] {
			note = "skipped:"
			unforeseen++
		}
		fmt.Fprintln(out, note, t.pkg, t.name)
		for line := range strings.Lines(t.output) {
			if !strings.HasPrefix(line, "=== ") && !strings.Contains(line, "--- SKIP") {
				fmt.Fprint(out, "    ", strings.TrimLeft(line, " "))
			}
		}
	}
	fmt.Fprintf(out, "%d tests skipped, %d of them unforeseen\n", len(r.skipped), unforeseen)
	for _, line := range r.packages {
		fmt.Fprintln(out, line)
	}
	return unforeseen
}
