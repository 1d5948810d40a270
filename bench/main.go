// Command bench measures samebits beside the tools that people would otherwise
// use, in one run on one machine, and prints the tables of docs/benchmarks.md.
//
// Each benchmark is a file here with a function that sets up its inputs and
// names its contestants. The contestants take turns, so that a machine that
// slows down slows them all; the median of the rounds is printed.
//
// It wants a Debian system with the packages of .ci/packages, and root for the
// installation. It refuses to change the system it runs on: everything happens
// below a temporary directory.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A benchmark sets up its inputs below b.dir and measures.
type benchmark struct {
	name  string
	about string
	run   func(b *bench) error
}

var benchmarks = []benchmark{
	{"generate", "Lock the machine that the benchmark runs on", benchGenerate},
	{"alpine", "Lock an Alpine system with 100 packages that have to be hashed", benchAlpine},
	{"generate-others", "Lock real states of Arch and Fedora", benchGenerateOthers},
	{"fetch", "Fetch 49 packages from a local nginx into an empty cache", benchFetch},
	{"latency", "The same, with 100 ms added to each request", benchLatency},
	{"memory", "Fetch 700 MB into an empty cache", benchMemory},
	{"backends", "Fetch 49 packages from each kind of source into an empty cache", benchBackends},
	{"push", "Put 49 packages into each kind of sink", benchPush},
	{"many", "Look through a cache of 10,000 files of 4 KiB", benchMany},
	{"image", "Make a minimal Debian of packages at hand", benchImage},
	{"image-alpine", "Make an OCI image of 47 packages of Alpine at hand", benchImageAlpine},
	{"filesystems", "Write 250 MB of /usr as file systems", benchFilesystems},
	{"mirror", "Serve packages from a mirror", benchMirror},
	{"install", "Install more than 100 packages into a minimal root", benchInstall},
}

// bench is what a benchmark is run with.
type bench struct {
	samebits string // the binary, as an absolute path
	dir      string // a directory of its own
	rounds   int
	out      io.Writer
	cleanups []func()
}

func (b *bench) atEnd(f func()) { b.cleanups = append(b.cleanups, f) }

func main() {
	if len(os.Args) == 6 && os.Args[1] == childArgument {
		if err := writeFilesystem(os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) == 4 && os.Args[1] == registryArgument {
		if err := serveRegistry(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	binary := flag.String("samebits", "./samebits", "the binary to measure")
	only := flag.String("only", "", "names of benchmarks, with commas between; all of them if empty")
	rounds := flag.Int("rounds", 5, "how often each contestant runs")
	flag.Parse()
	if err := run(*binary, *only, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(binary, only string, rounds int) error {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return err
	}
	machine, err := describeMachine()
	if err != nil {
		return err
	}
	fmt.Println(machine)
	for _, m := range benchmarks {
		if only != "" && !slices.Contains(strings.Split(only, ","), m.name) {
			continue
		}
		fmt.Printf("\n## %s (`%s`)\n\n", m.about, m.name)
		if err := runOne(m, &bench{samebits: binary, rounds: rounds, out: os.Stdout}); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

func runOne(m benchmark, b *bench) (err error) {
	if b.dir, err = os.MkdirTemp("", "samebits-bench-"); err != nil {
		return err
	}
	b.atEnd(func() { os.RemoveAll(b.dir) })
	defer func() {
		for _, f := range slices.Backward(b.cleanups) {
			f()
		}
	}()
	// apt drops its privileges to download and must be able to look in here.
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return err
	}
	return m.run(b)
}
