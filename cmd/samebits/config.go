package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// systemConfig is the configuration of the whole machine; tests have another.
var systemConfig = "/etc/samebits/config.yaml"

// maxConfig bounds how much of a configuration file is read, in bytes.
const maxConfig = 1 << 20

// A config is what a configuration file says, as docs/sources.md describes it.
// Flags and the environment come before it.
type config struct {
	Sources    []configSource `yaml:"sources"`
	Cache      string         `yaml:"cache"`
	Offline    *bool          `yaml:"offline"`
	NoSnapshot *bool          `yaml:"no-snapshot"`
	Mirror     mirrorURL      `yaml:"mirror"`
	TokenFile  string         `yaml:"mirror-token-file"`

	file string
}

// A configSource is a source of a configuration file: a string, or a mapping
// where more is to be said.
type configSource struct {
	URL     string `yaml:"url"`
	Archive string `yaml:"archive"`
	Keeper  bool   `yaml:"keeper"`

	line int
}

// A positionError is what is wrong at a place of a configuration file.
type positionError struct {
	line, column int
	message      string
}

func (e *positionError) Error() string {
	return fmt.Sprintf("%d:%d: %s", e.line, e.column, e.message)
}

// UnmarshalYAML reads either form.
func (c *configSource) UnmarshalYAML(node ast.Node) error {
	type mapping configSource
	at := node.GetToken().Position
	if text, ok := node.(*ast.StringNode); ok {
		c.URL = text.Value
	} else if err := yaml.NodeToValue(node, (*mapping)(c), yaml.Strict()); err != nil {
		return err
	}
	c.line = at.Line
	if err := c.check(); err != nil {
		return &positionError{at.Line, at.Column, err.Error()}
	}
	return nil
}

func (c *configSource) check() error {
	b := backendOf(c.URL)
	switch {
	case c.URL == "":
		return errors.New("a source wants a url")
	case b == nil:
		return unknownScheme(c.URL)
	case b.scheme == "" && !filepath.IsAbs(c.URL):
		return fmt.Errorf("the directory %q is neither an absolute path nor a URL", c.URL)
	case c.Keeper && !b.keeps:
		return errors.New("keeper is for HTTP; other sources have limits of their own")
	}
	return checkSource(c.URL)
}

// readConfig reads a configuration file; nil where there is none. What it does
// not know in a file is an error, with the line and the column.
func readConfig(name string) (*config, error) {
	data, err := readSmall(name)
	switch {
	case isNotExist(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	c, err := parseConfig(data)
	var at *positionError
	switch {
	case errors.As(err, &at):
		return nil, fmt.Errorf("%s:%w", name, at)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	c.file = name
	return c, nil
}

// parseConfig reads the text of a configuration file. Errors are a
// [*positionError] where the line is known.
func parseConfig(data []byte) (*config, error) {
	c := &config{}
	d := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict())
	err := decodeYAML(d, c)
	if errors.Is(err, io.EOF) {
		return c, nil
	}
	if err != nil {
		return nil, positioned(err)
	}
	if err := decodeYAML(d, &config{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("it has more than one YAML document")
	}
	for i, s := range c.Sources {
		if s.line == 0 {
			return nil, fmt.Errorf("number %d of the sources is empty", i+1)
		}
	}
	if c.Cache != "" && !filepath.IsAbs(c.Cache) {
		return nil, fmt.Errorf("the cache %q is not an absolute path", c.Cache)
	}
	if c.TokenFile != "" && !filepath.IsAbs(c.TokenFile) {
		return nil, fmt.Errorf("the mirror-token-file %q is not an absolute path", c.TokenFile)
	}
	return c, nil
}

// decodeYAML is d.Decode, which ends in a panic for some wrong uses of tags.
func decodeYAML(d *yaml.Decoder, to any) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("it cannot be read as YAML")
		}
	}()
	return d.Decode(to)
}

// positioned says where an error is, in one line: those of the YAML package
// quote the file below.
func positioned(err error) error {
	var ours *positionError
	if errors.As(err, &ours) {
		return ours
	}
	var theirs yaml.Error
	if errors.As(err, &theirs) && theirs.GetToken() != nil {
		at := theirs.GetToken().Position
		return &positionError{at.Line, at.Column, theirs.GetMessage()}
	}
	return err
}

// configure reads the configuration files, the user's first, for a verb that
// has to do with the cache or with sources, and lets them decide about flags
// that were not given. Sources that name no place are an error.
func (s *session) configure() error {
	if findFlag(s.Command.Flags, "cache") == nil && findFlag(s.Command.Flags, "source") == nil {
		return nil
	}
	for _, name := range []string{s.userConfig(), systemConfig} {
		if name == "" {
			continue
		}
		c, err := readConfig(name)
		if err != nil {
			return err
		}
		if c != nil {
			s.configs = append(s.configs, c)
		}
	}
	if err := s.decide("offline", func(c *config) *bool { return c.Offline }); err != nil {
		return err
	}
	if err := s.decide("no-snapshot", func(c *config) *bool { return c.NoSnapshot }); err != nil {
		return err
	}
	if findFlag(s.Command.Flags, "source") == nil && findFlag(s.Command.Flags, "no-snapshot") == nil {
		return nil // it asks no sources
	}
	return s.checkNamed()
}

// decide sets a flag that the verb has and that was not given.
func (s *session) decide(flag string, said func(*config) *bool) error {
	if findFlag(s.Command.Flags, flag) == nil || s.IsSet(flag) {
		return nil
	}
	for _, c := range s.configs {
		if value := said(c); value != nil {
			return s.Set(flag, strconv.FormatBool(*value))
		}
	}
	return nil
}

// userConfig is where the user's own configuration would be, or nothing.
func (s *session) userConfig() string {
	if dir := s.getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "samebits", "config.yaml")
	}
	if home := s.getenv("HOME"); home != "" {
		return filepath.Join(home, ".config", "samebits", "config.yaml")
	}
	return ""
}
