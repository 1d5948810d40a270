package spec

import (
	"fmt"
	"strings"
)

// ParseOutput reads an output as flags give it: "type=oci,dest=out", or a path
// alone, whose ending says the type.
func ParseOutput(text string) (Output, error) {
	var o Output
	if !strings.Contains(text, "=") {
		o.Dest, o.Type = text, typeOf(text)
		if o.Type == "" && !strings.Contains(text, "://") {
			return o, fmt.Errorf("%q does not tell what to write; say it as type=oci,dest=%s", text, text)
		}
		return o.checked(text)
	}
	for field := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(field, "=")
		switch key {
		case "type":
			o.Type = value
		case "dest":
			o.Dest = value
		case "compress":
			o.Compress = value
		case "tag":
			o.Tag = value
		default:
			return o, fmt.Errorf("%q is no setting of an output; there are type, dest, compress and tag", key)
		}
	}
	if o.Type == "" {
		o.Type = typeOf(o.Dest)
	}
	return o.checked(text)
}

func (o Output) checked(text string) (Output, error) {
	if o.Type == "" && strings.Contains(o.Dest, "://") {
		o.Type = "oci" // which check refuses where it is no registry
	}
	s := Spec{Version: 1, Outputs: []Output{o}}
	if _, err := s.check(); err != nil {
		return o, fmt.Errorf("output %q: %w", text, err)
	}
	return o, nil
}

// typeOf guesses the type by the ending of a file's name.
func typeOf(dest string) string {
	for _, e := range []struct{ ending, kind string }{
		{".tar", "tar"}, {".tar.gz", "tar"}, {".tgz", "tar"}, {".tar.zst", "tar"},
		{".cpio", "cpio"}, {".cpio.gz", "cpio"}, {".cpio.zst", "cpio"}, {".img", "cpio"},
		{".mtree", "manifest"}, {"/", "dir"},
	} {
		if strings.HasSuffix(dest, e.ending) {
			return e.kind
		}
	}
	return ""
}

// Compression is what an output is compressed with: what it says, else what
// the ending of its file says, else what its type is mostly had with.
func (o Output) Compression() string {
	switch {
	case o.Compress != "":
		return o.Compress
	case strings.HasSuffix(o.Dest, ".gz"), strings.HasSuffix(o.Dest, ".tgz"):
		return "gzip"
	case strings.HasSuffix(o.Dest, ".zst"):
		return "zstd"
	case o.Type == "oci":
		return "gzip"
	}
	return "none"
}
