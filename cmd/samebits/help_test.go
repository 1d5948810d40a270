package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

func TestEveryCommandHasHelp(t *testing.T) {
	p, stdout, _ := testProgram()
	eachVerb(p.app().Commands, nil, func(path []string, c *cli.Command) {
		name := strings.Join(path, " ")
		text, examples := splitExamples(c.Description)
		if c.Usage == "" || text == "" || len(examples) == 0 {
			t.Errorf("%s lacks a usage, a description or an example", name)
		}
		for _, e := range examples {
			words, err := shellWords(e)
			if err != nil {
				t.Errorf("%s: example %q: %v", name, e, err)
				continue
			}
			line, err := arrange(p.app(), words)
			if err != nil {
				t.Errorf("%s: example %q: %v", name, e, err)
			} else if !line.version && line.name() != "samebits "+name {
				t.Errorf("%s: example %q is of %s", name, e, line.name())
			}
		}
		for _, f := range c.Flags {
			if f.(cli.DocGenerationFlag).GetUsage() == "" {
				t.Errorf("%s: flag %s has no usage", name, f.Names()[0])
			}
		}
		stdout.Reset()
		if code := p.run(t.Context(), append(path, "--help")); code != 0 {
			t.Errorf("%s --help: exit code %d", name, code)
		}
		if !strings.HasPrefix(stdout.String(), "samebits "+name+": "+c.Usage+"\n\nUsage:\n  samebits "+name) {
			t.Errorf("%s --help begins with %.80q", name, stdout)
		}
		for line := range strings.Lines(stdout.String()) {
			if n := utf8.RuneCountInString(line); n > helpWidth+1 && !strings.HasPrefix(line, "  samebits ") {
				t.Errorf("%s --help has a line of %d columns: %s", name, n, line)
			}
		}
	})
}

// shellWords splits an example as a shell would, and drops "samebits" and what
// is behind a redirection.
func shellWords(line string) ([]string, error) {
	out, err := exec.Command("sh", "-c", "samebits() { printf '%s\\n' \"$@\"; }; "+strings.NewReplacer(" > ", " # ").Replace(line)).Output()
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"), err
}

func TestManualPage(t *testing.T) {
	p, _, _ := testProgram()
	page := manPage(p.app())
	eachVerb(p.app().Commands, nil, func(path []string, c *cli.Command) {
		if has := strings.Contains(page, ".SS samebits "+strings.Join(path, " ")+" "); has == c.Hidden {
			t.Errorf("%v: in the manual page: %t, hidden: %t", path, has, c.Hidden)
		}
	})
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("groff is not installed")
	}
	cmd := exec.Command(groff, "-man", "-ww", "-Tutf8", "-z")
	cmd.Stdin = strings.NewReader(page)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("groff: %v\n%s", err, out)
	}
}

// What the environment has to say is told in the manual page.
func TestManualPageTellsEnvironment(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	p, _, _ := testProgram()
	_, page, _ := strings.Cut(manPage(p.app()), ".SH ENVIRONMENT")
	// Of Go's runtime and of systemd's protocols.
	others := []string{"GOGC", "GOMEMLIMIT", "HOME", "LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET"}
	read := regexp.MustCompile(`(?i)\bgetenv\("([A-Z_]+)"\)`)
	seen := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range read.FindAllStringSubmatch(string(text), -1) {
			seen++
			if !slices.Contains(others, m[1]) && !regexp.MustCompile(`\b`+m[1]+`\b`).MatchString(page) {
				t.Errorf("%s reads %s, which the manual page does not tell of", name, m[1])
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d variables found", seen)
	}
}

func TestComplete(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"lo"}, "lock"},
		{[]string{"lock", "ge"}, "generate"},
		{[]string{"cache", "p"}, "push prune pin"},
		{[]string{"lock", "diff", "--e"}, "--exit-code"},
		{[]string{"--quiet", "lock", "diff", "--j"}, "--json"},
		{[]string{"lock", "fetch", ""}, ""},
		{[]string{"lock", "fetch", "--cache", ""}, ""},
		{[]string{"lock", "fetch", "--", "-"}, ""},
		{[]string{"completion", "z"}, "zsh"},
		{[]string{"ma"}, ""},
	} {
		p, stdout, _ := testProgram()
		p.run(t.Context(), append([]string{completeCommand}, c.words...))
		var got []string
		for line := range strings.Lines(stdout.String()) {
			word, _, _ := strings.Cut(line, "\t")
			got = append(got, word)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%q: %q, want %q", c.words, s, c.want)
		}
	}
}

func TestCompletionScripts(t *testing.T) {
	for shell, script := range completionScripts {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		cmd := exec.Command(path, "-n")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
}
