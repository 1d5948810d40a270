package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// helpWidth is the width of help in columns, whatever the terminal's.
const helpWidth = 80

// showHelp prints the help of the command that a line names.
func (p *program) showHelp(app *cli.App, line *commandLine) error {
	var b strings.Builder
	if v := line.verb(); v == nil {
		writeHelp(&b, line.name(), app.Usage, app.Description, "", app.Commands, nil)
	} else {
		writeHelp(&b, line.name(), v.Usage, v.Description, v.ArgsUsage, v.Subcommands, v.Flags)
	}
	_, err := io.WriteString(p.stdout, b.String())
	return err
}

func writeHelp(b *strings.Builder, name, usage, description, arguments string, commands []*cli.Command, flags []cli.Flag) {
	fmt.Fprintf(b, "%s: %s\n\nUsage:\n", name, usage)
	switch {
	case len(commands) > 0:
		fmt.Fprintf(b, "  %s COMMAND\n", name)
	default:
		fmt.Fprintf(b, "  %s\n", strings.TrimSpace(name+" [FLAG…] "+arguments))
	}
	text, examples := splitExamples(description)
	if text != "" {
		b.WriteByte('\n')
		for _, paragraph := range strings.Split(text, "\n\n") {
			writeWrapped(b, "", paragraph)
		}
	}
	if len(commands) > 0 {
		b.WriteString("\nCommands:\n")
		var rows [][2]string
		for _, c := range commands {
			if !c.Hidden {
				rows = append(rows, [2]string{c.Name, c.Usage})
			}
		}
		writeRows(b, rows)
	}
	if len(flags) > 0 {
		b.WriteString("\nFlags:\n")
		var rows [][2]string
		for _, f := range flags {
			rows = append(rows, flagRow(f))
		}
		writeRows(b, rows)
	}
	if len(examples) > 0 {
		b.WriteString("\nExamples:\n")
		for _, e := range examples {
			b.WriteString("  " + e + "\n")
		}
	}
	if len(commands) > 0 {
		fmt.Fprintf(b, "\nRun \"%s COMMAND --help\" for more about a command.\n", name)
	}
}

// splitExamples parts the text of a description from its examples, which
// follow a line "Examples:" one to a line.
func splitExamples(description string) (text string, examples []string) {
	text, list, _ := strings.Cut(description, "\n\nExamples:\n")
	for _, line := range strings.Split(list, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			examples = append(examples, line)
		}
	}
	return strings.TrimSpace(text), examples
}

// flagRow is a flag as help shows it, "-o, --output FILE", and what it does.
func flagRow(f cli.Flag) [2]string {
	doc := f.(cli.DocGenerationFlag)
	value, usage := unquoteValue(doc.GetUsage())
	short, long := "    ", ""
	for _, name := range f.Names() {
		if len(name) == 1 {
			short = "-" + name + ", "
		} else {
			long += "--" + name
		}
	}
	if doc.TakesValue() {
		long += " " + value
		if d := doc.GetValue(); d != "" && d != "[]" && d != `""` {
			usage += fmt.Sprintf(" (default %s)", strings.Trim(d, `"`))
		}
	}
	return [2]string{short + long, usage}
}

// unquoteValue takes the name of a flag's value, which stands between back
// quotes, out of its usage.
func unquoteValue(usage string) (value, text string) {
	before, rest, ok := strings.Cut(usage, "`")
	if !ok {
		return "VALUE", usage
	}
	value, after, _ := strings.Cut(rest, "`")
	return value, before + value + after
}

// writeRows writes a table of two columns, the second wrapped.
func writeRows(b *strings.Builder, rows [][2]string) {
	wide := 0
	for _, r := range rows {
		wide = max(wide, utf8.RuneCountInString(r[0]))
	}
	for _, r := range rows {
		head := "  " + r[0] + strings.Repeat(" ", wide-utf8.RuneCountInString(r[0])) + "  "
		writeWrapped(b, head, r[1])
	}
}

// writeWrapped writes text after head, broken into lines of helpWidth columns
// of which all but the first are indented by the width of head.
func writeWrapped(b *strings.Builder, head, text string) {
	indent := strings.Repeat(" ", utf8.RuneCountInString(head))
	b.WriteString(head)
	column := len(indent)
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n > helpWidth:
			b.WriteString("\n" + indent)
			column = len(indent)
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	b.WriteByte('\n')
}
