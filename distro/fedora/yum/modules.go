package yum

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/samebits/samebits/distro/fedora/rpm"
)

// A Module is one build of a module: a set of packages that belong together.
type Module struct {
	Name, Stream string
	// Version is a number, mostly a date.
	Version       uint64
	Context, Arch string
	// Artifacts are the packages built for it.
	Artifacts []rpm.NEVRA
}

// Label returns name:stream:version:context, as the headers of the module's
// packages have it.
func (m Module) Label() string {
	return m.Name + ":" + m.Stream + ":" + strconv.FormatUint(m.Version, 10) + ":" + m.Context
}

// String returns name:stream:version:context:arch.
func (m Module) String() string { return m.Label() + ":" + m.Arch }

// Limits on modules.yaml. CentOS Stream 8's AppStream has 8 MiB and 700
// documents.
const (
	maxModules  = 256 << 20 // bytes
	maxDocument = 8 << 20   // bytes of one
	maxModuleNo = 100_000
)

// moduleYAML is what matters of a document "modulemd" of version 1 or 2.
type moduleYAML struct {
	Document string `yaml:"document"`
	Version  int    `yaml:"version"`
	Data     struct {
		Name      string `yaml:"name"`
		Stream    text   `yaml:"stream"`
		Version   uint64 `yaml:"version"`
		Context   text   `yaml:"context"`
		Arch      string `yaml:"arch"`
		Artifacts struct {
			RPMs []string `yaml:"rpms"`
		} `yaml:"artifacts"`
	} `yaml:"data"`
}

// A text is a YAML scalar as it is written: a stream 1.10 is not the number
// 1.1.
type text string

// UnmarshalYAML implements [yaml.NodeUnmarshaler].
func (t *text) UnmarshalYAML(node ast.Node) error {
	scalar, ok := node.(ast.ScalarNode)
	if !ok {
		return fmt.Errorf("line %d: a %s where a word is due", node.GetToken().Position.Line, node.Type())
	}
	*t = text(scalar.GetToken().Value)
	return nil
}

// ReadModules reads a modules.yaml and returns its modules. Of other documents
// (defaults, obsoletes, translations) nothing is read. Artifacts that are no
// package's name are passed over.
func ReadModules(r io.Reader) ([]Module, error) {
	var out []Module
	err := eachDocument(r, func(doc []byte) error {
		if !isModule(doc) {
			return nil
		}
		var y moduleYAML
		if err := yaml.Unmarshal(prune(doc), &y); err != nil {
			return err
		}
		if y.Document != "modulemd" {
			return nil
		}
		if len(out) == maxModuleNo {
			return fmt.Errorf("more than %d modules", maxModuleNo)
		}
		out = append(out, y.module())
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read modules.yaml: %w", err)
	}
	return out, nil
}

func (y *moduleYAML) module() Module {
	d := &y.Data
	m := Module{Name: d.Name, Stream: string(d.Stream), Version: d.Version, Context: string(d.Context), Arch: d.Arch}
	for _, s := range d.Artifacts.RPMs {
		if n, err := rpm.ParseNEVRA(s); err == nil {
			m.Artifacts = append(m.Artifacts, n)
		}
	}
	return m
}

func isModule(doc []byte) bool {
	for line := range bytes.Lines(doc) {
		if kind, ok := bytes.CutPrefix(line, []byte("document:")); ok {
			return string(bytes.Trim(kind, " \t\r\n\"'")) == "modulemd"
		}
	}
	return false
}

// wantedFields are those of data that moduleYAML has.
var wantedFields = []string{"name", "stream", "version", "context", "arch", "artifacts"}

// prune leaves out of a document's data all fields that are not wanted: by
// their indentation, since most of a document is descriptions, licenses and
// build instructions. It errs on the side of leaving too much.
func prune(doc []byte) []byte {
	out := make([]byte, 0, len(doc))
	inData, keep, indent := false, true, 0
	for line := range bytes.Lines(doc) {
		text := bytes.TrimLeft(line, " ")
		spaces := len(line) - len(text)
		switch blank := len(bytes.TrimSpace(text)) == 0; {
		case blank || text[0] == '#' && spaces <= indent:
			// Belongs to whatever is around it.
		case spaces == 0 && text[0] != '-':
			inData, keep, indent = bytes.HasPrefix(line, []byte("data:")), true, 0
		case inData && indent == 0:
			indent = spaces
			fallthrough
		case inData && spaces <= indent && text[0] != '-':
			key, _, _ := bytes.Cut(text, []byte(":"))
			keep = slices.Contains(wantedFields, string(bytes.Trim(key, "\"' ")))
		}
		if keep {
			out = append(out, line...)
		}
	}
	return out
}

// eachDocument splits a YAML stream into its documents.
func eachDocument(r io.Reader, each func([]byte) error) error {
	l := &io.LimitedReader{R: r, N: maxModules + 1}
	s := bufio.NewScanner(l)
	s.Buffer(make([]byte, 64<<10), 1<<20)
	var doc []byte
	for s.Scan() {
		line := s.Bytes()
		if isMarker(line, "---") || isMarker(line, "...") {
			if err := each(doc); err != nil {
				return err
			}
			doc = doc[:0]
			continue
		}
		if len(doc)+len(line) > maxDocument {
			return fmt.Errorf("a document of more than %d bytes", maxDocument)
		}
		doc = append(append(doc, line...), '\n')
	}
	if s.Err() != nil {
		return s.Err()
	}
	if l.N == 0 {
		return fmt.Errorf("longer than %d bytes", maxModules)
	}
	return each(doc)
}

func isMarker(line []byte, marker string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(marker))
	return ok && len(bytes.TrimSpace(rest)) == 0
}
