package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func testProgram() (p *program, stdout, stderr *bytes.Buffer) {
	stdout, stderr = &bytes.Buffer{}, &bytes.Buffer{}
	return &program{
		stdin: strings.NewReader(""), stdout: stdout, stderr: stderr,
		getenv: func(string) string { return "" },
	}, stdout, stderr
}

func TestArrange(t *testing.T) {
	p, _, _ := testProgram()
	for _, c := range []struct{ in, want string }{
		{"lock fetch A B", "lock fetch -- A B"},
		{"lock fetch A --parallel 3 B", "lock fetch --parallel=3 -- A B"},
		{"lock fetch A --parallel=3", "lock fetch --parallel=3 -- A"},
		{"--quiet lock fetch A", "lock fetch --quiet -- A"},
		{"--cache fetch lock fetch A", "lock fetch --cache=fetch -- A"},
		{"lock --offline fetch A", "lock fetch --offline -- A"},
		{"lock fetch -s X -sY -s=Z A", "lock fetch -s=X -s=Y -s=Z -- A"},
		{"lock fetch -qvsX A", "lock fetch -q -v -s=X -- A"},
		{"lock fetch --source=a=b A", "lock fetch --source=a=b -- A"},
		{"lock fetch -- --offline", "lock fetch -- --offline"},
		{"lock fetch A -- B --quiet", "lock fetch -- A B --quiet"},
		{"lock inspect -", "lock inspect -- -"},
		{"lock fetch --source - A", "lock fetch --source=- -- A"},
		{"lock generate", "lock generate --"},
		{"lock generate lock generate", "lock generate -- lock generate"},
		{"cache pin", "cache pin --"},
	} {
		line, err := arrange(p.app(), strings.Fields(c.in))
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
		} else if got := strings.Join(line.args(), " "); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.in, got, c.want)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"lok", `"lok" is not a command of samebits (did you mean "lock"?); run "samebits --help"`},
		{"lock genrate", `"genrate" is not a command of samebits lock (did you mean "generate"?); run "samebits lock --help"`},
		{"xyzzy", `"xyzzy" is not a command of samebits; run "samebits --help"`},
		{"lock", `a command is missing: generate, install, fetch, inspect, diff, update, resolve, pull; run "samebits lock --help"`},
		{"--quiet", `a command is missing: lock, cache, image, mirror, sources, completion, version; run "samebits --help"`},
		{"lock fetch", `FILE is missing; run "samebits lock fetch --help"`},
		{"lock diff a", `NEW is missing; run "samebits lock diff --help"`},
		{"mirror pin", `LOCK is missing; run "samebits mirror pin --help"`},
		{"lock diff a b c", `"c" is one argument too many; run "samebits lock diff --help"`},
		{"cache pin -", `a lock from standard input needs a NAME before it; run "samebits cache pin --help"`},
		{"cache info x", `"x" is one argument too many; run "samebits cache info --help"`},
		{"lock fetch a --sorce x", `--sorce is not a flag of samebits lock fetch (did you mean --source?); run "samebits lock fetch --help"`},
		{"lock inspect a --dry-run", `--dry-run is not a flag of samebits lock inspect; run "samebits lock inspect --help"`},
		{"lock fetch a --source", `flag --source wants a value; run "samebits lock fetch --help"`},
		{"lock fetch a ---x", `"---x" is not a flag; run "samebits lock fetch --help"`},
		{"lock fetch a --parallel many", `"many" is not a value for --parallel; run "samebits lock fetch --help"`},
		{"lock fetch a --parallel 0", `--parallel wants a number from 1 on; run "samebits lock fetch --help"`},
		{"lock fetch a --offline=perhaps", `--offline takes no value; run "samebits lock fetch --help"`},
		{"lock generate --no-deps", `--no-deps is about named packages, and none is named; run "samebits lock generate --help"`},
		{"lock generate --update --offline", `--update wants the network that --offline forbids; run "samebits lock generate --help"`},
		{"lock update -w -o x y", `--write and --output are two places to write to; run "samebits lock update --help"`},
		{"cache export --layout cpio a b", `"cpio" is not a layout: pool, flat, tar or oci; run "samebits cache export --help"`},
		{"cache prune --max-age never", `--max-age: "never" is not a time such as 12h or 30d; run "samebits cache prune --help"`},
		{"completion tcsh", `"tcsh" is not one of bash, zsh and fish; run "samebits completion --help"`},
	} {
		p, stdout, stderr := testProgram()
		code := p.run(t.Context(), strings.Fields(c.in))
		if code != exitUsage {
			t.Errorf("%s: exit code %d", c.in, code)
		}
		if got, want := stderr.String(), "samebits: "+c.want+"\n"; got != want {
			t.Errorf("%s\n got %swant %s", c.in, got, want)
		}
		if stdout.Len() > 0 {
			t.Errorf("%s: wrote to standard output: %s", c.in, stdout)
		}
	}
}

// A flag that stands before its command is read without knowing the command,
// so that its name must mean the same everywhere.
func TestFlagsMeanTheSame(t *testing.T) {
	p, _, _ := testProgram()
	takes := map[string]bool{}
	eachVerb(p.app().Commands, nil, func(path []string, c *cli.Command) {
		own := map[string]bool{}
		for _, f := range c.Flags {
			for _, name := range f.Names() {
				value := f.(cli.DocGenerationFlag).TakesValue()
				if old, known := takes[name]; known && old != value {
					t.Errorf("%s of %v takes a value in one command and none in another", dashed(name), path)
				}
				if own[name] {
					t.Errorf("%v has two flags %s", path, dashed(name))
				}
				takes[name], own[name] = value, true
			}
		}
	})
}

func FuzzArrange(f *testing.F) {
	f.Add("lock\x00fetch\x00-sX\x00--\x00-a")
	f.Add("--quiet\x00cache\x00pin")
	f.Add("-=\x00--=x\x00-")
	p, _, _ := testProgram()
	app := p.app()
	f.Fuzz(func(t *testing.T, joined string) {
		line, err := arrange(app, strings.Split(joined, "\x00"))
		if err != nil || line.help || line.version {
			return
		}
		again, err := arrange(app, line.args())
		if err != nil {
			t.Fatalf("what was put in order is not understood: %v", err)
		}
		if a, b := strings.Join(line.args(), "\x00"), strings.Join(again.args(), "\x00"); a != b {
			t.Fatalf("%q became %q", a, b)
		}
	})
}
