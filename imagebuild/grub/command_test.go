package grub

import (
	"slices"
	"testing"
)

func TestCommand(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"boot"}, "boot\n"},
		{[]string{"linux", "/samebits/6.1.0-x_1+b1/linux", "root=PARTLABEL=root-1", "a,b:c@d%"}, "linux /samebits/6.1.0-x_1+b1/linux root=PARTLABEL=root-1 a,b:c@d%\n"},
		{[]string{"linux", "a b", "$x;'\"\\{}#"}, "linux a\\ b \\$x\\;\\'\\\"\\\\\\{\\}\\#\n"},
		{[]string{"grün"}, "grün\n"},
	} {
		if got, err := Command(c.words...); err != nil || got != c.want {
			t.Errorf("%q: %q, %v; want %q", c.words, got, err, c.want)
		}
	}
	for _, word := range []string{"", "a\nb", "\x00"} {
		if got, err := Command("linux", word); err == nil {
			t.Errorf("%q is %q", word, got)
		}
	}
}

func TestParameters(t *testing.T) {
	for cmdline, want := range map[string][]string{
		"":                              nil,
		"  ro\tquiet ":                  {"ro", "quiet"},
		`dyndbg="file x.c +p; y" -- a`:  {"dyndbg=file x.c +p; y", "--", "a"},
		`"dyndbg=file x.c" root=LABEL=`: {"dyndbg=file x.c", "root=LABEL="},
		`a="" b`:                        {"a=", "b"},
	} {
		if got, err := Parameters(cmdline); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", cmdline, got, err, want)
		}
	}
	for _, cmdline := range []string{`a\b`, "it's", `a="b`} {
		if got, err := Parameters(cmdline); err == nil {
			t.Errorf("%s is %q", cmdline, got)
		}
	}
}
