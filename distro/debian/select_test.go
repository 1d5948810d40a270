package debian

import (
	"strings"
	"testing"
)

func selectSystem(t *testing.T) *System {
	return systemWith(t, map[string]string{
		"var/lib/dpkg/arch": "amd64\ni386\n",
		statusFile: paragraph("dpkg", "1.21", "amd64", ok, "Pre-Depends: libc6 (>= 2.15)", "Essential: yes") +
			paragraph("libc6", "2.36", "amd64", ok, "Multi-Arch: same", "Depends: gcc-base") +
			paragraph("libc6", "2.36", "i386", ok, "Multi-Arch: same", "Depends: gcc-base") +
			paragraph("gcc-base", "12", "amd64", ok, "Multi-Arch: same") +
			paragraph("gcc-base", "12", "i386", ok, "Multi-Arch: same") +
			paragraph("game", "1", "i386", ok, "Depends: libc6, tool, interp:any, awk, mail (>= 2), oldmail (>= 2)") +
			paragraph("tool", "1", "amd64", ok, "Multi-Arch: foreign") +
			paragraph("interp", "3", "amd64", ok, "Multi-Arch: allowed") +
			paragraph("mawk", "1", "amd64", ok, "Provides: awk", "Multi-Arch: foreign") +
			paragraph("postfix", "3", "amd64", ok, "Provides: mail (= 2.5), oldmail", "Multi-Arch: foreign") +
			paragraph("script", "1", "all", ok, "Depends: nothing | tool | interp, loop, absent") +
			paragraph("loop", "1", "all", ok, "Depends: script, game [!amd64]") +
			paragraph("foreign-only", "1", "i386", ok) +
			paragraph("removed", "1", "amd64", "deinstall ok config-files"),
	})
}

func TestSelect(t *testing.T) {
	s := selectSystem(t)
	tests := []struct {
		names string
		deps  bool
		want  string
	}{
		{"libc6", false, "libc6 2.36 amd64"},
		{"libc6:i386", false, "libc6 2.36 i386"},
		{"libc6:any", false, "libc6 2.36 amd64|libc6 2.36 i386"},
		{"script:amd64 script", false, "script 1 all"},
		{"foreign-only", false, "foreign-only 1 i386"},
		{"dpkg", true, "dpkg 1.21 amd64|gcc-base 12 amd64|libc6 2.36 amd64"},
		{"game", true, "game 1 i386|gcc-base 12 i386|interp 3 amd64|libc6 2.36 i386|mawk 1 amd64|postfix 3 amd64|tool 1 amd64"},
		{"script", true, "interp 3 amd64|loop 1 all|script 1 all|tool 1 amd64"},
	}
	for _, tt := range tests {
		got, err := s.Select(t.Context(), strings.Fields(tt.names), tt.deps)
		if err != nil {
			t.Fatal(err)
		}
		if g := joined(got); g != tt.want {
			t.Errorf("%s deps=%v:\ngot  %s\nwant %s", tt.names, tt.deps, g, tt.want)
		}
	}
	for _, bad := range []string{"nosuch", "removed", "tool:i386", ""} {
		if _, err := s.Select(t.Context(), []string{"libc6", bad}, true); err == nil || !strings.Contains(err.Error(), "not installed") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
