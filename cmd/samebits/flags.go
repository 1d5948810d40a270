package main

import (
	"github.com/urfave/cli/v2"
)

// The flags that several verbs share are made here, so that each means the
// same wherever it stands. Flags may be given anywhere on the command line.

// talkFlags are those of every verb.
func talkFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "tell only what went wrong"},
		&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "tell everything: each failure, each missing package"},
	}
}

func rootFlag() cli.Flag {
	return &cli.StringFlag{Name: "root", Value: "/", Usage: "the `DIR` that the system is in"}
}

func cacheFlag() cli.Flag {
	return &cli.StringFlag{Name: "cache", Usage: "keep files in `DIR` (SAMEBITS_CACHE)"}
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print JSON"}
}

func outputFlag() cli.Flag {
	return &cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write to `FILE`, whole or not at all; - is standard output"}
}

func allowMissingFlag(what string) cli.Flag {
	return &cli.BoolFlag{Name: "allow-missing", Usage: what}
}

// networkFlags say how far a verb may go for what it needs.
func networkFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "offline", Usage: "use no network; directories are still sources"},
		&cli.BoolFlag{Name: "no-snapshot", Usage: "do not ask archives that keep old versions"},
	}
}

// packagesFlag names directories of packages to look for locked versions in.
func packagesFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "packages", Usage: "look for versions that the indexes do not have among the packages in `DIR`; may be repeated"}
}

func sourceFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "source", Aliases: []string{"s"}, Usage: "look first at `SOURCE`: a directory, a base URL, a URL template with {{.Path}}, {{.Basename}}, {{.SHA256}}, {{.CID}} or {{.Timestamp}}, or one of oci://, ipfs://, s3://; may be repeated (SAMEBITS_SOURCES)"}
}

// sourceFlags are those of verbs that fetch locked files.
func sourceFlags() []cli.Flag {
	flags := []cli.Flag{
		sourceFlag(),
		&cli.IntFlag{Name: "parallel", Usage: "fetch `N` files at a time", Value: 16},
	}
	return append(append(flags, networkFlags()...), cacheFlag())
}
