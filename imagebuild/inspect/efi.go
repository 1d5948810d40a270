package inspect

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/samebits/samebits/imagebuild/secureboot"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/uki"
)

// maxText is what is shown of a section that is text.
const maxText = 64 << 10

// subsections of a unified kernel image that have a format of their own.
var insideSections = map[string]bool{".initrd": true, ".linux": true, ".ucode": true, ".splash": true, ".dtb": true, ".efifw": true}

func (o *opener) efi(p *Part, depth int) {
	m, err := uki.Read(p.source.at, p.source.size)
	if err != nil {
		p.fail(err)
		return
	}
	machine := uki.MachineName(m.Machine)
	if machine == "" {
		machine = fmt.Sprintf("%#04x", m.Machine)
	}
	p.add("machine", machine)
	if m.Section(".linux") != nil {
		p.Format = "unified kernel image"
	}
	p.add("cmdline", sectionText(m, ".cmdline"))
	p.add("uname", sectionText(m, ".uname"))
	if text := sectionText(m, ".osrel"); text != "" {
		p.add("os_release", strings.Split(text, "\n"))
	}
	p.add("kernel", kernelVersion(p.source))
	p.add("signed", m.Signed())
	if m.Signed() {
		p.signatures()
	}
	if told, is, err := m.Checksum(); err == nil && told != 0 {
		p.check("the sum in the headers is right", func(context.Context) error {
			if told != is {
				return fmt.Errorf("it is %#x and not %#x", is, told)
			}
			return nil
		})
	}
	o.sections(p, m, depth)
}

// signatures are who signed a program, as the signatures have it, and whether
// they hold. Whom to trust is not known here.
func (p *Part) signatures() {
	list, err := secureboot.Signatures(p.source, p.source.size)
	var signers []string
	for n, s := range list {
		signers = append(signers, s.Signer)
		p.check(fmt.Sprintf("signature %d holds", n+1), func(context.Context) error { return s.Problem })
	}
	p.add("signers", signers)
	if err != nil {
		p.check("the signatures can be read", func(context.Context) error { return err })
	}
}

// sections are parts, and files, too.
func (o *opener) sections(p *Part, m *uki.Image, depth int) {
	var b tree.Builder
	seen := map[string]int{}
	for i := range m.Sections {
		s := &m.Sections[i]
		name := fileName(s.Name)
		if seen[name]++; seen[name] > 1 {
			name += "." + strconv.Itoa(seen[name])
		}
		q := &Part{Name: name, Format: unknownFormat, Size: s.Size(), source: source{at: m.At(i), size: s.Size()}}
		if insideSections[s.Name] {
			o.child(p, q, depth)
		} else {
			p.Parts = append(p.Parts, q)
		}
		if err := b.Set(name, tree.Inode{Mode: tree.Regular | 0o444, Size: s.Size(), Content: q.source}); err != nil {
			p.fail(err)
		}
	}
	p.holds = holdsContent
	p.load = func(ctx context.Context) (*tree.Tree, []Attribute, error) {
		t, err := b.Freeze(ctx)
		return t, nil, err
	}
}

// fileName is a section's name as a file has it.
func fileName(name string) string {
	if tree.CheckName(name) != nil {
		return "section"
	}
	return name
}

// sectionText is the text of a section, without what ends it.
func sectionText(m *uki.Image, name string) string {
	r := m.Section(name)
	if r == nil || r.Size() > maxText {
		return ""
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(b), "\x00\n ")
}

// kernelVersion is what the boot protocol of Linux on x86 tells, "" elsewhere.
func kernelVersion(s source) string {
	b, err := s.head(headSize)
	if err != nil || len(b) < 0x210 || string(b[0x202:0x206]) != "HdrS" {
		return ""
	}
	at := int(b[0x20E]) + int(b[0x20F])<<8 + 0x200
	if at >= len(b) {
		return ""
	}
	text, _, found := bytes.Cut(b[at:min(at+256, len(b))], []byte{0})
	if !found {
		return ""
	}
	return string(text)
}
