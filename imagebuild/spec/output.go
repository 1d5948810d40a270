package spec

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// A setting is one of an output besides its type and dest.
type setting struct {
	name  string
	types []string // that have it
	// read sets it from a flag, given reports whether it is set.
	read  func(o *Output, value string) error
	given func(o *Output) bool
}

func textSetting(name string, types []string, field func(*Output) *string) setting {
	return setting{name, types,
		func(o *Output, v string) error { *field(o) = v; return nil },
		func(o *Output) bool { return *field(o) != "" }}
}

func sizeSetting(name string, types []string, field func(*Output) *Size) setting {
	return setting{name, types,
		func(o *Output, v string) (err error) { *field(o), err = ParseSize(v); return err },
		func(o *Output) bool { return *field(o) != nil }}
}

func switchSetting(name string, types []string, field func(*Output) *bool) setting {
	return setting{name, types,
		func(o *Output, v string) error {
			on, err := readSwitch(name, v)
			*field(o) = on
			return err
		},
		func(o *Output) bool { return *field(o) }}
}

func readGrow(o *Output, v string) error {
	on, err := readSwitch("grow", v)
	o.Grow = &on
	return err
}

func readPartitions(*Output, string) error {
	return errors.New("partitions are a list, which flags cannot tell; write the output in a spec")
}

func readSwitch(name, v string) (bool, error) {
	if v != "" && v != "true" && v != "false" {
		return false, fmt.Errorf("%s is true or false, not %q", name, v)
	}
	return v != "false", nil
}

var (
	boots    = []string{"disk", "iso", "kernel+initrd", "uki"}
	settings = []setting{
		textSetting("compress", nil, func(o *Output) *string { return &o.Compress }),
		textSetting("tag", nil, func(o *Output) *string { return &o.Tag }),
		textSetting("format", []string{"disk"}, func(o *Output) *string { return &o.Format }),
		sizeSetting("size", []string{"disk", "ext4"}, func(o *Output) *Size { return &o.Size }),
		sizeSetting("free", []string{"disk", "ext4"}, func(o *Output) *Size { return &o.Free }),
		textSetting("label", []string{"disk", "iso", "ext4", "erofs"}, func(o *Output) *string { return &o.Label }),
		textSetting("root", []string{"disk", "iso"}, func(o *Output) *string { return &o.Root }),
		textSetting("root-compress", []string{"disk", "iso", "squashfs", "erofs", "kernel+initrd", "uki"}, func(o *Output) *string { return &o.RootCompress }),
		switchSetting("verity", []string{"disk", "iso"}, func(o *Output) *bool { return &o.Verity }),
		{"grow", []string{"disk"}, readGrow, func(o *Output) bool { return o.Grow != nil }},
		switchSetting("overlay", []string{"disk"}, func(o *Output) *bool { return &o.Overlay }),
		textSetting("boot", []string{"disk", "iso"}, func(o *Output) *string { return &o.Boot }),
		textSetting("initramfs", []string{"disk"}, func(o *Output) *string { return &o.Initramfs }),
		textSetting("kernel", boots, func(o *Output) *string { return &o.Kernel }),
		textSetting("cmdline", boots, func(o *Output) *string { return &o.Cmdline }),
		switchSetting("bios", []string{"disk"}, func(o *Output) *bool { return &o.BIOS }),
		{"partitions", []string{"disk"}, readPartitions, func(o *Output) bool { return len(o.Partitions) > 0 }},
	}
)

// ParseOutput reads an output as flags give it: "type=oci,dest=out", or a path
// alone, whose ending says the type. A cmdline is the last setting, since it
// may have commas in it.
func ParseOutput(text string) (Output, error) {
	var o Output
	if !strings.Contains(text, "=") {
		o.Dest, o.Type = text, typeOf(text)
		if o.Type == "" && !strings.Contains(text, "://") {
			return o, fmt.Errorf("%q does not tell what to write; say it as type=oci,dest=%s", text, text)
		}
		return o.checked(text)
	}
	for rest := text; rest != ""; {
		var field string
		if strings.HasPrefix(rest, "cmdline=") {
			field, rest = rest, ""
		} else {
			field, rest, _ = strings.Cut(rest, ",")
		}
		key, value, _ := strings.Cut(field, "=")
		if err := o.set(key, value); err != nil {
			return o, err
		}
	}
	if o.Type == "" {
		o.Type = typeOf(o.Dest)
	}
	return o.checked(text)
}

func (o *Output) set(key, value string) error {
	switch key {
	case "type":
		o.Type = value
		return nil
	case "dest":
		o.Dest = value
		return nil
	}
	i := slices.IndexFunc(settings, func(s setting) bool { return s.name == key })
	if i < 0 {
		names := []string{"type", "dest"}
		for _, s := range settings {
			names = append(names, s.name)
		}
		return fmt.Errorf("%q is no setting of an output; there are %s", key, strings.Join(names, ", "))
	}
	return settings[i].read(o, value)
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

// checkSettings finds what an output of its type does not have, and the name
// of the setting that is wrong.
func (o *Output) checkSettings() (name string, err error) {
	for _, s := range settings {
		if s.types != nil && s.given(o) && !slices.Contains(s.types, o.Type) {
			return s.name, fmt.Errorf("an output of the type %s has no %s; %s have", o.Type, s.name, strings.Join(s.types, ", "))
		}
	}
	for _, c := range []struct {
		name, value, noun string
		known             []string
	}{
		{"compress", o.Compress, "compression", []string{"none", "gzip", "zstd"}},
		{"format", o.Format, "format of a disk", []string{"raw", "qcow2"}},
		{"root", o.Root, "file system for a root", []string{"ext4", "erofs", "squashfs", "none"}},
		{"root-compress", o.RootCompress, "compression of a root", []string{"none", "lz4", "gzip", "zstd"}},
		{"boot", o.Boot, "way to boot", []string{"uki", "systemd-boot", "raspberry-pi", "none"}},
		{"initramfs", o.Initramfs, "initramfs", []string{"own", "system", "none"}},
	} {
		if c.value != "" && !slices.Contains(c.known, c.value) {
			return c.name, fmt.Errorf("%q is no %s; there are %s", c.value, c.noun, strings.Join(c.known, ", "))
		}
	}
	if name, err := checkPartitions(o.Partitions); err != nil {
		return name, err
	}
	if o.DiskFormat() == "qcow2" && o.Compression() != "none" {
		return "compress", errors.New("a qcow2 disk is compressed by itself")
	}
	return "", nil
}

// DiskFormat is "raw" or "qcow2" for a disk.
func (o Output) DiskFormat() string {
	switch {
	case o.Format != "":
		return o.Format
	case o.Type == "disk" && strings.HasSuffix(o.Dest, ".qcow2"):
		return "qcow2"
	}
	return "raw"
}

// typeOf guesses the type by the ending of a file's name.
func typeOf(dest string) string {
	if strings.HasSuffix(dest, "/") {
		return "dir"
	}
	name := path.Base(dest)
	for _, packed := range []string{".gz", ".zst"} {
		name = strings.TrimSuffix(name, packed)
	}
	if strings.HasPrefix(name, "init") && strings.HasSuffix(name, ".img") {
		return "cpio"
	}
	for _, e := range []struct{ ending, kind string }{
		{".tar", "tar"}, {".tgz", "tar"}, {".cpio", "cpio"}, {".mtree", "manifest"},
		{".raw", "disk"}, {".img", "disk"}, {".qcow2", "disk"}, {".iso", "iso"}, {".efi", "uki"},
		{".ext4", "ext4"}, {".squashfs", "squashfs"}, {".sqfs", "squashfs"}, {".erofs", "erofs"},
	} {
		if strings.HasSuffix(name, e.ending) {
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
