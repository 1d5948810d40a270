package apt

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"

	"github.com/samebits/samebits/distro/debian/deb822"
)

// A Pin is one entry of apt_preferences(5).
type Pin struct {
	// Packages are names, patterns ("lib*") or regular expressions between
	// slashes, each perhaps with "src:" before and ":arch" after it. They are
	// empty for "Package: *".
	Packages []string
	// Kind is "version", "source-version", "release" or "origin", and Data
	// what follows it.
	Kind, Data string
	Priority   int
	// File and Line tell where the entry is, for messages.
	File string
	Line int

	names []pinName
	match pinMatch
}

// Never is the priority "never": a repository that nothing is taken from.
const Never = math.MinInt16

// loadPins reads preferences and then preferences.d, as apt does. Of pins that
// both fit the first counts.
func (l *loader) loadPins() error {
	var names []string
	if name := l.Options.File("Dir::Etc::preferences"); name != "" {
		names = append(names, name)
	}
	if dir := l.Options.File("Dir::Etc::preferencesparts"); dir != "" {
		found, err := parts(l.root, dir, "pref", "")
		if err != nil {
			return err
		}
		names = append(names, found...)
	}
	for _, name := range names {
		data, err := l.root.ReadFile(name, maxFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read apt's preferences: %w", err)
		}
		if err := l.readPins(l.root.Join(name), data); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) readPins(file string, data []byte) error {
	paragraphs, err := deb822.Read(bytes.NewReader(data))
	var bad *deb822.Error
	if errors.As(err, &bad) {
		return &ParseError{file, bad.Line, bad.Err}
	}
	if err != nil {
		return fmt.Errorf("read apt's preferences: %s: %w", file, err)
	}
	for _, p := range paragraphs {
		pin, err := parsePin(p)
		if err != nil {
			return &ParseError{file, p.Line, err}
		}
		if pin == nil {
			continue
		}
		pin.File, pin.Line = file, p.Line
		switch pin.Kind {
		case "release", "origin":
		case "version", "source-version":
			if len(pin.Packages) > 0 {
				break
			}
			fallthrough
		default:
			l.events.Warning(fmt.Sprintf("%s:%d: the pin of kind %q is not understood and ignored", file, p.Line, pin.Kind))
			continue
		}
		pin.compile()
		l.Pins = append(l.Pins, *pin)
	}
	return nil
}

// parsePin returns nil for a paragraph without a pin.
func parsePin(p deb822.Paragraph) (*Pin, error) {
	names := strings.Fields(p.Get("Package"))
	if len(names) == 0 {
		return nil, errors.New("the entry has no Package")
	}
	data, ok := p.Lookup("Pin")
	if !ok {
		return nil, nil
	}
	if len(names) == 1 && names[0] == "*" {
		names = nil
	}
	pin := &Pin{Packages: names}
	pin.Kind, pin.Data, _ = strings.Cut(strings.ReplaceAll(data, "\t", " "), " ")
	pin.Kind, pin.Data = strings.ToLower(pin.Kind), strings.TrimSpace(pin.Data)
	switch text := p.Get("Pin-Priority"); text {
	case "never":
		if names != nil {
			return nil, errors.New(`the priority "never" is for "Package: *" alone`)
		}
		pin.Priority = Never
	default:
		n, err := strconv.ParseInt(text, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%q is not a priority between %d and %d", text, math.MinInt16, math.MaxInt16)
		}
		if n == 0 {
			return nil, errors.New("the entry has no priority, or one of zero")
		}
		pin.Priority = max(int(n), Never+1)
	}
	return pin, nil
}
