package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/samebits/samebits/distro"
	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"
)

// A session is one verb at work: its flags, and its voice. Data goes to
// stdout, every word for a person through the methods here to stderr.
type session struct {
	*program
	*cli.Context
	ctx            context.Context
	quiet, verbose bool
	terminal       bool // stderr is one
	colour         bool
	configs        []*config // the user's, then the system's

	mu    sync.Mutex
	lines io.Writer       // where lines go: stderr, or above the bars
	said  map[string]bool // warnings
}

// verb makes the action of a command out of one that wants a session.
func (p *program) verb(action func(*session) error) cli.ActionFunc {
	return func(c *cli.Context) error {
		s := &session{
			program: p, Context: c, ctx: c.Context,
			quiet:    c.Bool("quiet"),
			verbose:  c.Bool("verbose"),
			terminal: isTerminal(p.stderr),
			colour:   isTerminal(p.stderr) && p.getenv("NO_COLOR") == "" && p.getenv("TERM") != "dumb",
			lines:    p.stderr,
			said:     map[string]bool{},
		}
		if err := s.configure(); err != nil {
			return err
		}
		return action(s)
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func (s *session) line(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.lines, text)
}

// printable replaces control characters but line ends and tabs, and what turns
// the order of reading: what sources and packages say of themselves must
// neither steer a terminal nor look like something else there.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if (r < ' ' && r != '\n' && r != '\t') || (r >= 0x7f && r < 0xa0) || unicode.Is(unicode.Bidi_Control, r) {
			return '�'
		}
		return r
	}, s)
}

// say tells what was done; --quiet hears nothing of it.
func (s *session) say(format string, args ...any) {
	if !s.quiet {
		s.line(printable(fmt.Sprintf(format, args...)))
	}
}

// detail tells what only --verbose wants to hear.
func (s *session) detail(format string, args ...any) {
	if s.verbose {
		s.line(printable(fmt.Sprintf(format, args...)))
	}
}

// warn tells, once each, what a person should know.
func (s *session) warn(format string, args ...any) {
	text := printable(fmt.Sprintf(format, args...))
	s.mu.Lock()
	known := s.said[text]
	s.said[text] = true
	s.mu.Unlock()
	if !known {
		s.line(s.paint("33", "warning:") + " " + text)
	}
}

// paint colours text on a terminal; code is that of ECMA-48's SGR.
func (s *session) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// usagef makes an error of what is wrong with the arguments.
func (s *session) usagef(format string, args ...any) error {
	return &usageError{s.Command.HelpName, fmt.Sprintf(format, args...)}
}

// distroEvents tells what a distribution has to say.
func (s *session) distroEvents() *distro.Events {
	return &distro.Events{
		Warn: func(message string) { s.warn("%s", message) },
		Step: func(message string) { s.say("%s", message) },
	}
}

// count is "1 file" or "2 files".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// size is a number of bytes for a person, in powers of 1000.
func size(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), 0
	for value >= 999.95 && unit < len("kMGTPE") {
		value /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGTPE"[unit-1])
}

// took is how long something lasted, for a person.
func took(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	seconds := int64(d.Round(time.Second) / time.Second)
	if seconds < 60 {
		return fmt.Sprintf("%d s", seconds)
	}
	return fmt.Sprintf("%d min %d s", seconds/60, seconds%60)
}
