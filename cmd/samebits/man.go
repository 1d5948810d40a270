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
		{"128 and more", "ended by a signal, 128 and its number: 130 by Ctrl-C"},
	}},
	{"ENVIRONMENT", [][2]string{
		{"SAMEBITS_CACHE", "the cache's directory, as --cache"},
		{"SAMEBITS_SOURCES", "sources to look at first, as --source, with white space between"},
		{"SAMEBITS_MIRROR", "the URL of the team mirror, which is asked before all else; none turns that of a configuration file off"},
		{"SAMEBITS_MIRROR_TOKEN", "the token for that mirror"},
		{"SOURCE_DATE_EPOCH", "the time of what has none of its own in images, in seconds since 1970, as --epoch"},
		{"TMPDIR", "where images are assembled"},
		{"XDG_CACHE_HOME, XDG_CONFIG_HOME, XDG_STATE_HOME", "where, in samebits, the cache of a user other than root, a configuration of one's own and a mirror's state lie"},
		{"STATE_DIRECTORY", "where the mirror's state lies, as systemd says it"},
		{"http_proxy, https_proxy, no_proxy", "the proxies, where the system's own configuration names none"},
		{"NETRC", "the file with logins, in place of ~/.netrc"},
		{"DOCKER_CONFIG", "the directory of docker's config.json, with the logins of registries, in place of ~/.docker"},
		{"AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN", "the keys of buckets"},
		{"AWS_PROFILE, AWS_SHARED_CREDENTIALS_FILE", "the profile, and the file in place of ~/.aws/credentials, that have the keys otherwise"},
		{"AWS_REGION, AWS_ENDPOINT_URL_S3", "the region and the store of buckets whose URL does not say them"},
		{"NO_COLOR, TERM", "no colour, where NO_COLOR is set to anything or TERM is dumb"},
	}},
	{"FILES", [][2]string{
		{"/var/cache/samebits, ~/.cache/samebits", "the cache of root, and of other users"},
		{"/etc/samebits/config.yaml, ~/.config/samebits/config.yaml", "the configuration of the machine, and of a user: sources, cache, mirror"},
		{"/etc/samebits/mirror.yaml", "the configuration of \"samebits mirror serve\""},
		{"/var/lib/samebits/mirror, ~/.local/state/samebits/mirror", "what a mirror keeps besides files"},
		{"SHA256SUMS", "a lock, by convention; SHA256SUMS-<arch> where there is one for each architecture"},
	}},
	{"SEE ALSO", [][2]string{{"sha256sum(1), apt(8), apk(8), pacman(8), dnf(8)", ""}}},
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
