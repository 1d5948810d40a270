package main

import (
	"github.com/urfave/cli/v2"
)

// mirrorCommands are the verbs of the team mirror: the server, and what asks a
// running one.
func (p *program) mirrorCommands() []*cli.Command {
	return []*cli.Command{p.mirrorServe(), p.mirrorConfig(), p.mirrorStatus(), p.mirrorSnapshot(), p.mirrorWarm(), p.mirrorPin(), p.mirrorUnpin()}
}

func mirrorConfigFlag() cli.Flag {
	return &cli.StringFlag{Name: "config", Usage: "read the mirror's configuration from `FILE` (default /etc/samebits/mirror.yaml, where there is one)"}
}

func urlFlag() cli.Flag {
	return &cli.StringFlag{Name: "url", Usage: "the mirror's `URL` (SAMEBITS_MIRROR, or mirror in a configuration file)"}
}

func adminTokenFlag() cli.Flag {
	return &cli.StringFlag{Name: "token-file", Usage: "read the mirror's token from `FILE` (SAMEBITS_MIRROR_TOKEN, or netrc)"}
}
