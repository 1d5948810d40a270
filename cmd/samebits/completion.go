package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// completeCommand is how completion scripts ask samebits itself what can
// follow: the words so far are its arguments, the last being completed. The
// answers are lines "word<TAB>what it is"; none means file names.
const completeCommand = "__complete"

var completionScripts = map[string]string{
	"bash": `_samebits() {
  local IFS=$'\n' cur="${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=($(compgen -W "$(samebits __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1)" -- "$cur"))
}
complete -o default -o bashdefault -F _samebits samebits
`,
	"zsh": `#compdef samebits
_samebits() {
  local -a found
  local line
  for line in "${(@f)$(samebits __complete "${words[@]:1:$((CURRENT-1))}" 2>/dev/null)}"; do
    [[ -n $line ]] && found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done
  if (( $#found )); then _describe samebits found; else _files; fi
}
compdef _samebits samebits
`,
	"fish": `complete -c samebits -a '(samebits __complete (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`,
}

func (p *program) completion() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print a completion script for a shell",
		ArgsUsage: "bash|zsh|fish",
		Description: "Prints the script that makes the shell complete samebits's commands and flags.\n\n" +
			"Examples:\n" +
			"  samebits completion bash > /etc/bash_completion.d/samebits\n" +
			"  samebits completion zsh > ~/.zfunc/_samebits\n" +
			"  samebits completion fish > ~/.config/fish/completions/samebits.fish",
		Action: func(c *cli.Context) error {
			script, ok := completionScripts[c.Args().First()]
			if !ok {
				return &usageError{"samebits completion", fmt.Sprintf("%q is not one of bash, zsh and fish", c.Args().First())}
			}
			_, err := io.WriteString(p.stdout, script)
			return err
		},
	}
}

// complete prints what the last of the words can be.
func (p *program) complete(app *cli.App, words []string) error {
	if len(words) == 0 {
		words = []string{""}
	}
	done, last := words[:len(words)-1], words[len(words)-1]
	if slices.Contains(done, "--") {
		return nil
	}
	commands, known := app.Commands, flagTable(app)
	var verb *cli.Command
	for i, w := range done {
		takesValue := known[strings.TrimLeft(w, "-")] && strings.HasPrefix(w, "-")
		if takesValue && i == len(done)-1 {
			return nil // a value, which is a file as likely as not
		}
		if c := find(commands, w); c != nil {
			verb, commands = c, c.Subcommands
		}
	}
	var rows [][2]string
	for _, c := range commands {
		if !c.Hidden {
			rows = append(rows, [2]string{c.Name, c.Usage})
		}
	}
	if verb != nil && strings.HasPrefix(last, "-") {
		for _, f := range verb.Flags {
			_, usage := unquoteValue(f.(cli.DocGenerationFlag).GetUsage())
			rows = append(rows, [2]string{dashed(f.Names()[0]), usage})
		}
	}
	if verb != nil && verb.Name == "completion" {
		for _, shell := range []string{"bash", "fish", "zsh"} {
			rows = append(rows, [2]string{shell, "the script for " + shell})
		}
	}
	for _, r := range rows {
		if strings.HasPrefix(r[0], last) {
			fmt.Fprintf(p.stdout, "%s\t%s\n", r[0], r[1])
		}
	}
	return nil
}
