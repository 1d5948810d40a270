package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// A commandLine is a command line that was understood: which command, with
// which flags and arguments.
type commandLine struct {
	path          []*cli.Command // from the first word to the verb
	flags         []givenFlag
	arguments     []string
	help, version bool
}

// A givenFlag is a flag as it was given, its value with it.
type givenFlag struct {
	name, value string
	hasValue    bool
}

func (f givenFlag) String() string {
	if !f.hasValue {
		return dashed(f.name)
	}
	return dashed(f.name) + "=" + f.value
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// arrange understands a command line. Flags may stand anywhere, also before
// the command and after arguments; "--" ends them; "-" is an argument; a dash
// and several letters are several flags, the last with its value perhaps. What
// cannot be understood is a [*usageError].
func arrange(app *cli.App, args []string) (*commandLine, error) {
	line := &commandLine{}
	commands := app.Commands
	known := flagTable(app)
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			line.arguments = append(line.arguments, args...)
			args = nil
		case len(arg) > 1 && arg[0] == '-':
			var err error
			if args, err = line.takeFlags(known, arg, args); err != nil {
				return nil, err
			}
		case len(commands) == 0:
			line.arguments = append(line.arguments, arg)
		case arg == "help":
			line.help = true
		default:
			c := find(commands, arg)
			if c == nil {
				return nil, line.unknownCommand(commands, arg)
			}
			line.path = append(line.path, c)
			commands = c.Subcommands
		}
	}
	if line.help || line.version {
		return line, nil
	}
	return line, line.check(commands)
}

// takeFlags takes the flag or flags that arg is, and from rest the value that
// the last of them may want. It returns what is left of rest.
func (l *commandLine) takeFlags(known map[string]bool, arg string, rest []string) ([]string, error) {
	name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	var names []string
	switch {
	case strings.HasPrefix(arg, "---"), name == "":
		return nil, l.errorf("%q is not a flag", arg)
	case strings.HasPrefix(arg, "--"):
		names = []string{name}
	default:
		for i := 1; i < len(arg) && arg[i] != '='; i++ {
			names = append(names, arg[i:i+1])
			if known[arg[i:i+1]] && i+1 < len(arg) { // -oFILE, -o=FILE
				value, hasValue = strings.TrimPrefix(arg[i+1:], "="), true
				break
			}
		}
	}
	for i, name := range names {
		f := givenFlag{name: name}
		last := i == len(names)-1
		takesValue, ok := known[name]
		switch {
		case name == "help" || name == "h":
			l.help = true
			continue
		case name == "version" && len(l.path) == 0:
			l.version = true
			continue
		case !ok:
			return nil, l.unknownFlag(name)
		case last && hasValue:
			f.value, f.hasValue = value, true
		case takesValue && len(rest) == 0:
			return nil, l.errorf("flag %s wants a value", dashed(name))
		case takesValue:
			f.value, f.hasValue = rest[0], true
			rest = rest[1:]
		}
		l.flags = append(l.flags, f)
	}
	return rest, nil
}

// check finds what is wrong with a line that was read to its end. commands are
// those that could still follow.
func (l *commandLine) check(commands []*cli.Command) error {
	v := l.verb()
	switch {
	case v == nil && len(l.arguments) == 0 && len(l.flags) == 0:
		l.help = true
		return nil
	case len(commands) > 0:
		return l.errorf("a command is missing: %s", strings.Join(visibleNames(commands), ", "))
	}
	for _, f := range l.flags {
		if findFlag(v.Flags, f.name) == nil {
			return l.unknownFlag(f.name)
		}
	}
	least, most := argumentCount(v.ArgsUsage)
	switch n := len(l.arguments); {
	case n < least:
		return l.errorf("%s is missing", missingArgument(v.ArgsUsage, n))
	case most >= 0 && n > most:
		return l.errorf("%q is one argument too many", l.arguments[most])
	}
	return nil
}

// missingArgument names the argument that a line with n of them lacks: of
// those that it must have, which stand in the usage without brackets, the
// first that n do not cover.
func missingArgument(usage string, n int) string {
	var must []string
	for _, name := range strings.Fields(usage) {
		if !strings.HasPrefix(name, "[") {
			must = append(must, strings.Trim(name, "…"))
		}
	}
	return must[n]
}

// args is the line in the one order that urfave/cli reads: the command, its
// flags, then its arguments, none of which may be taken for a flag.
func (l *commandLine) args() []string {
	var out []string
	for _, c := range l.path {
		out = append(out, c.Name)
	}
	for _, f := range l.flags {
		out = append(out, f.String())
	}
	return append(append(out, "--"), l.arguments...)
}

// verb is the command that is to be run; nil for the program itself.
func (l *commandLine) verb() *cli.Command {
	if len(l.path) == 0 {
		return nil
	}
	return l.path[len(l.path)-1]
}

// name is how the command is called.
func (l *commandLine) name() string {
	words := []string{"samebits"}
	for _, c := range l.path {
		words = append(words, c.Name)
	}
	return strings.Join(words, " ")
}

func (l *commandLine) errorf(format string, args ...any) error {
	return &usageError{command: l.name(), reason: fmt.Sprintf(format, args...)}
}

func (l *commandLine) unknownCommand(commands []*cli.Command, word string) error {
	if s := nearest(visibleNames(commands), word); s != "" {
		return l.errorf("%q is not a command of %s (did you mean %q?)", word, l.name(), s)
	}
	return l.errorf("%q is not a command of %s", word, l.name())
}

func (l *commandLine) unknownFlag(name string) error {
	var names []string
	if v := l.verb(); v != nil {
		for _, f := range v.Flags {
			names = append(names, f.Names()...)
		}
	}
	if s := nearest(names, name); s != "" && len(name) > 1 {
		return l.errorf("%s is not a flag of %s (did you mean %s?)", dashed(name), l.name(), dashed(s))
	}
	return l.errorf("%s is not a flag of %s", dashed(name), l.name())
}

// argumentCount reads how many arguments a command takes from how its usage
// shows them: "OLD NEW", "FILE…", "[PACKAGE…]", "[NAME FILE]". most is -1 for
// any number.
func argumentCount(usage string) (least, most int) {
	optional := false
	for _, word := range strings.Fields(usage) {
		optional = optional || strings.HasPrefix(word, "[")
		if !optional {
			least++
		}
		if strings.Contains(word, "…") {
			return least, -1
		}
		most++
		optional = optional && !strings.HasSuffix(word, "]")
	}
	return least, most
}

// flagTable tells of every flag that any command has whether it takes a value.
// A flag means the same wherever it stands, so that one table does for all.
func flagTable(app *cli.App) map[string]bool {
	table := map[string]bool{}
	eachVerb(app.Commands, nil, func(_ []string, c *cli.Command) {
		for _, f := range c.Flags {
			for _, name := range f.Names() {
				table[name] = f.(cli.DocGenerationFlag).TakesValue()
			}
		}
	})
	return table
}

// eachVerb calls f for every command that does something, with its words.
func eachVerb(commands []*cli.Command, above []string, f func(path []string, c *cli.Command)) {
	for _, c := range commands {
		path := append(above[:len(above):len(above)], c.Name)
		if len(c.Subcommands) == 0 {
			f(path, c)
		}
		eachVerb(c.Subcommands, path, f)
	}
}

func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

func findFlag(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		for _, n := range f.Names() {
			if n == name {
				return f
			}
		}
	}
	return nil
}

func visibleNames(commands []*cli.Command) []string {
	var names []string
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return names
}

// nearest returns the name that a person may have meant by word, or nothing.
func nearest(names []string, word string) string {
	best, least := "", 1+len(word)/3
	for _, name := range names {
		if strings.HasPrefix(name, word) {
			return name
		}
		if d := distance(name, word); d <= least {
			best, least = name, d-1
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour to make a of b.
func distance(a, b string) int {
	var before []int // the row before the last one
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
