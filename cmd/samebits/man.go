package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

func (p *program) man() *cli.Command {
	return &cli.Command{
		Name:   "man",
		Hidden: true,
		Usage:  "print the manual page",
		Description: "Prints samebits(1) in roff, made of the same definitions as the help.\n\n" +
			"Examples:\n" +
			"  samebits man > samebits.1",
		Action: func(c *cli.Context) error {
			_, err := fmt.Fprint(p.stdout, manPage(p.app()))
			return err
		},
	}
}

// manPage is the manual page of the whole program in roff, as man(7) has it.
func manPage(app *cli.App) string {
	var b strings.Builder
	b.WriteString(".TH SAMEBITS 1\n.SH NAME\n")
	fmt.Fprintf(&b, "samebits \\- %s\n", roff(app.Usage))
	b.WriteString(".SH SYNOPSIS\n")
	eachVerb(app.Commands, nil, func(path []string, c *cli.Command) {
		if !c.Hidden {
			fmt.Fprintf(&b, ".B samebits %s\n%s\n.br\n", strings.Join(path, " "), roff("[FLAG…] "+c.ArgsUsage))
		}
	})
	b.WriteString(".SH DESCRIPTION\n")
	manText(&b, app.Description)
	b.WriteString(".SH COMMANDS\n")
	eachVerb(app.Commands, nil, func(path []string, c *cli.Command) {
		if c.Hidden {
			return
		}
		fmt.Fprintf(&b, ".SS samebits %s\n", roff(strings.Join(path, " ")+" [FLAG…] "+c.ArgsUsage))
		manText(&b, c.Description)
		for _, f := range c.Flags {
			row := flagRow(f)
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(strings.TrimSpace(row[0])), roff(row[1]))
		}
	})
	for _, s := range manSections {
		fmt.Fprintf(&b, ".SH %s\n", s.title)
		for _, row := range s.rows {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(row[0]), roff(row[1]))
		}
	}
	return b.String()
}

var manSections = []struct {
	title string
	rows  [][2]string
}{
	{"EXIT STATUS", [][2]string{
		{"0", "done"},
		{"1", "failed"},
		{"2", "wrong usage"},
		{"3", "something is missing or does not match"},
	}},
	{"ENVIRONMENT", [][2]string{
		{"SAMEBITS_CACHE", "the cache's directory, as --cache"},
		{"SAMEBITS_SOURCES", "sources to look at first, as --source, with white space between"},
		{"XDG_CACHE_HOME", "where the cache of a user other than root lies, in samebits"},
		{"http_proxy, https_proxy, no_proxy", "the proxies, where the system's own configuration names none"},
		{"NETRC", "the file with logins, in place of ~/.netrc"},
		{"NO_COLOR", "no colour, where it is set to anything"},
	}},
	{"FILES", [][2]string{
		{"/var/cache/samebits", "root's cache"},
		{"SHA256SUMS", "a lock, by convention; SHA256SUMS-<arch> where there is one for each architecture"},
	}},
	{"SEE ALSO", [][2]string{{"sha256sum(1), apt(8), dpkg(1)", ""}}},
}

// manText writes a description, paragraphs and examples.
func manText(b *strings.Builder, description string) {
	text, examples := splitExamples(description)
	for _, paragraph := range strings.Split(text, "\n\n") {
		fmt.Fprintf(b, ".PP\n%s\n", roff(paragraph))
	}
	if len(examples) > 0 {
		b.WriteString(".PP\n.nf\n")
		for _, e := range examples {
			fmt.Fprintf(b, "  %s\n", roff(e))
		}
		b.WriteString(".fi\n")
	}
}

// roff protects text that troff would take for commands.
func roff(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case i == 0 && (r == '.' || r == '\''):
			b.WriteString(`\&` + string(r))
		case r > '~':
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
