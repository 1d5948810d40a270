package debian

import (
	"os/exec"
	"testing"
)

// Errands run in their order, each with its own variables and words whatever
// they hold, until one fails, which is told.
func TestErrands(t *testing.T) {
	show := `for a in "$0" "$@"; do printf '<%s>' "$a"; done; echo "$V"`
	script := shellScript([]errand{
		{args: []string{"sh", "-c", show, "it's", "$HOME", "`a`", "", "x\ny"}, env: []string{"V='=\"$V;"}},
		{args: []string{"sh", "-c", show, "second"}},
		{args: []string{"sh", "-c", "exit 7"}, what: "that of p's"},
		{args: []string{"echo", "too far"}},
	})
	cmd := exec.Command("sh", "-c", script)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "V=outside"}
	out, err := cmd.CombinedOutput()
	const want = "<it's><$HOME><`a`><><x\ny>'=\"$V;\n<second>outside\nthat of p's failed\n"
	if string(out) != want || cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("%v:\n%s\nwant\n%s", err, out, want)
	}
}
