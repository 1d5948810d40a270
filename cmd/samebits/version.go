package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// release and commit are set by the linker where a build says them (see
// Makefile); otherwise they are what Go recorded of the build.
var release, commit string

func (p *program) version() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "print the version, the commit and the version of Go",
		Description: "Prints which samebits this is: its version, the commit it was built from, the Go that built it and the platform.\n\n" +
			"Examples:\n" +
			"  samebits version\n" +
			"  samebits --version",
		Action: func(*cli.Context) error { return p.showVersion() },
	}
}

func (p *program) showVersion() error {
	version, revision, modified := release, commit, ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if version == "" {
			version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && commit == "":
				revision = s.Value
			case s.Key == "vcs.modified" && commit == "" && s.Value == "true":
				modified = ", modified"
			}
		}
	}
	if version == "" || version == "(devel)" {
		version = "development version"
	}
	if revision == "" {
		revision = "unknown"
	}
	_, err := fmt.Fprintf(p.stdout, "samebits %s\ncommit %s%s\n%s %s/%s\n",
		version, revision, modified, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
