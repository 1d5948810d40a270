package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/samebits/samebits/lockfile"
	"github.com/urfave/cli/v2"
)

// mirrorExample is a commented configuration; a test reads it.
//
//go:embed mirror_example.yaml
var mirrorExample []byte

// defaultListen is where a mirror listens that is told nothing. apt-cacher-ng
// has the port too, and auto-apt-proxy looks for it.
const defaultListen = "127.0.0.1:3142"

// A mirrorFile is what the mirror's configuration file says, as
// docs/mirror-guide.md describes it.
type mirrorFile struct {
	Listen    []listenAddress  `yaml:"listen"`
	TLS       *mirrorTLS       `yaml:"tls"`
	Cache     absolutePath     `yaml:"cache"`
	State     absolutePath     `yaml:"state"`
	System    *bool            `yaml:"system-upstreams"`
	Upstreams []mirrorUpstream `yaml:"upstreams"`
	Tokens    mirrorTokens     `yaml:"tokens"`
	Limits    mirrorLimits     `yaml:"limits"`
	Budget    byteSize         `yaml:"budget"`
	Freeze    schedule         `yaml:"freeze"`
	Store     storeURL         `yaml:"store"`
	Offline   bool             `yaml:"offline"`
	Fresh     timeSpan         `yaml:"fresh"`
}

type mirrorTLS struct {
	Certificate absolutePath `yaml:"certificate"`
	Key         absolutePath `yaml:"key"`
}

type mirrorTokens struct {
	Read      []string       `yaml:"read"`
	ReadFiles []absolutePath `yaml:"read-files"`
	Admin     string         `yaml:"admin"`
	AdminFile absolutePath   `yaml:"admin-file"`
}

type mirrorLimits struct {
	Connections positive `yaml:"connections"`
	HeaderBytes byteSize `yaml:"header-bytes"`
	HeaderTime  timeSpan `yaml:"header-time"`
	IdleTime    timeSpan `yaml:"idle-time"`
	Parallel    positive `yaml:"parallel"`
	FileSize    byteSize `yaml:"file-size"`
	Patience    timeSpan `yaml:"patience"`
}

type mirrorUpstream struct {
	Prefix        upstreamPrefix `yaml:"prefix"`
	Format        formatName     `yaml:"format"`
	URLs          []archiveURL   `yaml:"urls"`
	Aliases       []archiveURL   `yaml:"aliases"`
	Keys          []absolutePath `yaml:"keys"`
	Unsigned      bool           `yaml:"unsigned"`
	Architectures []string       `yaml:"architectures"`
	Components    []string       `yaml:"components"`
}

// A schedule is when states are frozen: each so long, from the start on.
type schedule = timeSpan

type (
	listenAddress  string
	absolutePath   string
	upstreamPrefix string
	archiveURL     string
	formatName     string
	byteSize       int64
	timeSpan       time.Duration
	positive       int
)

// scalar reads a value of one word and says at which line and column it is
// wrong.
func scalar(node ast.Node, set func(string) error) error {
	at := node.GetToken().Position
	value, ok := node.(ast.ScalarNode)
	if !ok {
		return &positionError{at.Line, at.Column, "one value is due here, not a list or a mapping"}
	}
	text := value.GetToken().Value
	if s, ok := node.(*ast.StringNode); ok {
		text = s.Value
	}
	if err := set(text); err != nil {
		return &positionError{at.Line, at.Column, err.Error()}
	}
	return nil
}

func (a *listenAddress) UnmarshalYAML(n ast.Node) error {
	return scalar(n, func(s string) error {
		*a = listenAddress(s)
		return checkListen(s)
	})
}

func (p *absolutePath) UnmarshalYAML(n ast.Node) error {
	return scalar(n, func(s string) error {
		if *p = absolutePath(s); !filepath.IsAbs(s) {
			return fmt.Errorf("%q is not an absolute path", s)
		}
		return nil
	})
}

func (p *upstreamPrefix) UnmarshalYAML(n ast.Node) error {
	return scalar(n, func(s string) error {
		*p = upstreamPrefix(s)
		if lockfile.CheckPath(s) != nil {
			return fmt.Errorf("%q cannot be the first part of a path; write it without a slash at its ends, such as debian", s)
		}
		return nil
	})
}

func (a *archiveURL) UnmarshalYAML(n ast.Node) error {
	return scalar(n, func(s string) error {
		*a = archiveURL(s)
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return errors.New("this is no URL of an archive, such as http://ftp.debian.org/debian")
		}
		return nil
	})
}

func (f *formatName) UnmarshalYAML(n ast.Node) error {
	return scalar(n, func(s string) error {
		if *f = formatName(s); findFormat(s) == nil {
			return fmt.Errorf("%q is no format; there are %s", s, strings.Join(formatNames(), ", "))
		}
		return nil
	})
}

func (b *byteSize) UnmarshalYAML(n ast.Node) error {
	return scalar(n, func(s string) error {
		size, err := parseSize(s)
		*b = byteSize(size)
		return err
	})
}

func (d *timeSpan) UnmarshalYAML(n ast.Node) error {
	return scalar(n, func(s string) error {
		age, err := parseAge(s)
		*d = timeSpan(age)
		return err
	})
}

func (p *positive) UnmarshalYAML(n ast.Node) error {
	return scalar(n, func(s string) error {
		var i int
		if _, err := fmt.Sscanf(s, "%d", &i); err != nil || fmt.Sprint(i) != s || i < 1 {
			return fmt.Errorf("%q is not a number from 1 on", s)
		}
		*p = positive(i)
		return nil
	})
}

// UnmarshalYAML reads an upstream and says at its beginning what it lacks.
func (u *mirrorUpstream) UnmarshalYAML(node ast.Node) error {
	type mapping mirrorUpstream
	at := node.GetToken().Position
	if m, ok := node.(*ast.MappingNode); ok && len(m.Values) > 0 {
		at = m.Values[0].Key.GetToken().Position
	}
	if err := yaml.NodeToValue(node, (*mapping)(u), yaml.Strict()); err != nil {
		return err
	}
	lacks := ""
	switch {
	case u.Prefix == "":
		lacks = "a prefix"
	case u.Format == "":
		lacks = "a format"
	case len(u.URLs) == 0:
		lacks = "urls"
	case u.Unsigned && len(u.Keys) > 0:
		return &positionError{at.Line, at.Column, "an upstream has keys or is unsigned, not both"}
	default:
		return nil
	}
	return &positionError{at.Line, at.Column, "this upstream wants " + lacks}
}

func checkListen(s string) error {
	if name, ok := strings.CutPrefix(s, "unix:"); ok {
		if !filepath.IsAbs(name) {
			return fmt.Errorf("%q is not an absolute path of a socket", name)
		}
		return nil
	}
	if _, _, err := net.SplitHostPort(s); err != nil {
		return fmt.Errorf("%q is no address to listen on, such as %s, :3142 or unix:/run/samebits.sock", s, defaultListen)
	}
	return nil
}

// parseMirrorFile reads the text of a mirror's configuration. Errors are a
// [*positionError] where the line is known.
func parseMirrorFile(data []byte) (*mirrorFile, error) {
	f := &mirrorFile{}
	d := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	err := decodeMirror(d, f)
	if errors.Is(err, io.EOF) {
		return f, nil
	}
	if err != nil {
		return nil, positioned(err)
	}
	if err := decodeMirror(d, &mirrorFile{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("it has more than one YAML document")
	}
	return f, f.check()
}

// decodeMirror is d.Decode, which ends in a panic for some wrong uses of tags.
func decodeMirror(d *yaml.Decoder, to any) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("it cannot be read as YAML")
		}
	}()
	return d.Decode(to)
}

// check says what no single value is to blame for.
func (f *mirrorFile) check() error {
	if f.TLS != nil && (f.TLS.Certificate == "" || f.TLS.Key == "") {
		return errors.New("tls wants a certificate and a key")
	}
	if f.Tokens.Admin != "" && f.Tokens.AdminFile != "" {
		return errors.New("the admin token is given twice, as it is and in a file")
	}
	var seen []upstreamPrefix
	for i, u := range f.Upstreams {
		if u.Prefix == "" {
			return fmt.Errorf("number %d of the upstreams is empty", i+1)
		}
		if slices.Contains(seen, u.Prefix) {
			return fmt.Errorf("two upstreams have the prefix %q", u.Prefix)
		}
		seen = append(seen, u.Prefix)
		first, _, _ := strings.Cut(string(u.Prefix), "/")
		if slices.Contains([]string{"blob", "snapshot", "api", "metrics", "healthz", "static", "history"}, first) {
			return fmt.Errorf("the mirror itself uses /%s/; choose another prefix", first)
		}
		if path.Clean(string(u.Prefix)) != string(u.Prefix) {
			return fmt.Errorf("the prefix %q is not clean", u.Prefix)
		}
	}
	return nil
}

// readMirrorFile reads a mirror's configuration file; an error names the file
// and, where it is known, the line and the column.
func readMirrorFile(name string) (*mirrorFile, error) {
	data, err := readSmall(name)
	if err != nil {
		return nil, fmt.Errorf("read the mirror's configuration: %w", err)
	}
	f, err := parseMirrorFile(data)
	var at *positionError
	switch {
	case errors.As(err, &at):
		return nil, fmt.Errorf("%s:%w", name, at)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

func (p *program) mirrorConfig() *cli.Command {
	return &cli.Command{
		Name:      "config",
		Usage:     "check a mirror's configuration, or print an example",
		ArgsUsage: "[CONFIG]",
		Description: "With --check reads the configuration as \"mirror serve\" would, with the keys, tokens and certificates that it names, and says what is wrong, with the line and the column. With --example prints one with a comment on each setting. All settings can be left out, and so can the file.\n\n" +
			"Examples:\n" +
			"  samebits mirror config --example\n" +
			"  samebits mirror config --check /etc/samebits/mirror.yaml",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "check", Usage: "say what is wrong"},
			&cli.BoolFlag{Name: "example", Usage: "print an example"},
		},
		Action: p.verb((*session).checkMirrorConfig),
	}
}

func (s *session) checkMirrorConfig() error {
	switch {
	case s.Bool("check") == s.Bool("example"):
		return s.usagef("one of --check and --example is wanted")
	case s.Bool("example"):
		return s.writeOutput("-", mirrorExample)
	}
	name := s.Args().First()
	if name == "" {
		name = systemMirrorConfig
	}
	f, err := readMirrorFile(name)
	if err != nil {
		return err
	}
	plan, err := s.planMirror(f, name)
	if err != nil {
		return err
	}
	s.say("%s: nothing is wrong; %s", name, count(len(plan.mirror.Upstreams), "upstream"))
	return nil
}
