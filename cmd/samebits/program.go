package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// A program is samebits with all that it sees of the world.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
}

// run does what the arguments, less the program's name, ask for and returns
// the exit code.
func (p *program) run(ctx context.Context, args []string) int {
	err := p.dispatch(ctx, args)
	if text := errorText(ctx, err); text != "" {
		fmt.Fprintln(p.stderr, "samebits:", printable(text))
	}
	return exitCode(ctx, err)
}

func (p *program) dispatch(ctx context.Context, args []string) error {
	app := p.app()
	if len(args) > 0 && args[0] == completeCommand {
		return p.complete(app, args[1:])
	}
	line, err := arrange(app, args)
	switch {
	case err != nil:
		return err
	case line.help:
		return p.showHelp(app, line)
	case line.version:
		return p.showVersion()
	}
	return app.RunContext(ctx, append([]string{app.Name}, line.args()...))
}

// app is the definition of the whole command line. Help, manual pages and
// completion are made of it. What it does not say is in args.go: urfave/cli
// only ever sees command lines that were put in order there.
func (p *program) app() *cli.App {
	app := &cli.App{
		Name:  "samebits",
		Usage: "give the same packages, bit for bit, to everyone",
		Description: "Locks the packages that are installed on a system in a SHA256SUMS file, " +
			"fetches them from wherever they can still be had, and installs exactly those.\n\n" +
			"Examples:\n" +
			"  samebits lock generate -o SHA256SUMS\n" +
			"  samebits lock install SHA256SUMS",
		HideHelp:                  true,
		HideVersion:               true,
		Reader:                    p.stdin,
		Writer:                    p.stdout,
		ErrWriter:                 p.stderr,
		DisableSliceFlagSeparator: true,
		ExitErrHandler:            func(*cli.Context, error) {},
		Commands: []*cli.Command{
			group("lock", "make, read, fetch and install locks",
				p.lockGenerate(), p.lockInstall(), p.lockFetch(), p.lockInspect(), p.lockDiff(), p.lockUpdate(), p.lockResolve(), p.lockPull()),
			group("cache", "look after the files that were fetched",
				p.cacheInfo(), p.cacheList(), p.cacheVerify(), p.cacheExport(), p.cacheImport(), p.cachePush(), p.cachePrune(), p.cachePin(), p.cacheUnpin()),
			group("image", "make images of locked packages",
				p.imageBuild(), p.imageExplain(), p.imageInspect(), p.imageDiff()),
			group("mirror", "serve archives to a team", p.mirrorCommands()...),
			p.sources(),
			p.completion(),
			p.man(),
			p.version(),
		},
	}
	for _, c := range app.Commands {
		prepare(c, app.Name)
	}
	return app
}

// group is a command that only holds others.
func group(name, usage string, verbs ...*cli.Command) *cli.Command {
	return &cli.Command{Name: name, Usage: usage, Subcommands: verbs}
}

// prepare turns off, for a command and those below it, what urfave/cli would
// say of its own, and gives each verb the flags that all have. above is how
// the command that it belongs to is called.
func prepare(c *cli.Command, above string) {
	name := above + " " + c.Name
	c.HideHelp = true
	c.OnUsageError = func(_ *cli.Context, err error, _ bool) error {
		return &usageError{name, flagTrouble(err)}
	}
	if len(c.Subcommands) == 0 {
		c.Flags = append(c.Flags, talkFlags()...)
	}
	for _, sub := range c.Subcommands {
		prepare(sub, name)
	}
}

// flagTrouble words what the flag package says of a value that it cannot read.
func flagTrouble(err error) string {
	var value, name string
	if _, scanErr := fmt.Sscanf(err.Error(), "invalid value %q for flag -%s", &value, &name); scanErr == nil {
		return fmt.Sprintf("%q is not a value for %s", value, dashed(strings.TrimSuffix(name, ":")))
	}
	if _, scanErr := fmt.Sscanf(err.Error(), "invalid boolean value %q for -%s", &value, &name); scanErr == nil {
		return fmt.Sprintf("%s takes no value", dashed(strings.TrimSuffix(name, ":")))
	}
	return err.Error()
}
