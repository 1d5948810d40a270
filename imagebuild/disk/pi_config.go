package disk

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// maxIncludes is how many files a config.txt may include, one in another.
const maxIncludes = 8

// generated is in a config.txt that Debian's raspi-firmware made: no person's.
const generated = "# It is automatically generated upon install or update of either the\n# firmware or the Linux kernel."

// A config is what a config.txt says that matters here, whatever the model that
// it says it for.
type config struct {
	kernels, initramfs []string // files, by paths in the partition
	arm64              bool     // whether it says anything of that
	prefix             bool     // before all paths
}

// parse reads the text of a config.txt into c and returns what it includes. Lines are as the documentation of Raspberry Pi has them:
// NAME=VALUE, "initramfs FILE ADDRESS", "include FILE", [MODEL] and comments;
// others are for the firmware to judge.
func (c *config) parse(text string) (includes []string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '[' {
			continue
		}
		words := strings.Fields(line)
		if len(words) > 1 && words[0] == "initramfs" {
			c.initramfs = append(c.initramfs, fileNames(words[1])...)
			continue
		}
		if len(words) > 1 && words[0] == "include" {
			includes = append(includes, words[1])
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(name) {
		case "kernel":
			c.kernels = append(c.kernels, fileNames(value)...)
		case "ramfsfile":
			c.initramfs = append(c.initramfs, fileNames(value)...)
		case "arm_64bit":
			c.arm64 = true
		case "os_prefix":
			c.prefix = true
		}
	}
	return includes
}

// fileNames are the paths of a list.
func fileNames(list string) (names []string) {
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimPrefix(path.Clean("/"+name), "/"); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// read reads a config.txt of the partition and what that includes.
func (p *firmware) read(name string) (*config, error) {
	c := &config{}
	queue := []string{name}
	for i := 0; i < len(queue) && i <= maxIncludes; i++ {
		in, ok := p.lookup(queue[i])
		if !ok {
			continue // as the firmware does
		}
		text, err := readText(in)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", queue[i], err)
		}
		queue = append(queue, c.parse(text)...)
	}
	if len(queue) > maxIncludes+1 {
		return nil, fmt.Errorf("%s includes more than %d files", name, maxIncludes)
	}
	return c, nil
}

// lookup is the file of a path, in which case does not count, as in FAT.
func (p *firmware) lookup(name string) (tree.Inode, bool) {
	if in, ok := p.files[name]; ok {
		return in, true
	}
	for other, in := range p.files {
		if strings.EqualFold(other, name) {
			return in, true
		}
	}
	return tree.Inode{}, false
}

// check finds files that a config.txt names and that are not there.
func (p *firmware) check(c *config) error {
	if c.prefix {
		return nil // which file is meant depends on what is there
	}
	for _, name := range slices.Concat(c.kernels, c.initramfs) {
		if in, ok := p.lookup(name); !ok || !in.Mode.IsRegular() {
			return fmt.Errorf("config.txt has the firmware read %s, which would not be on the card", tree.Display(name))
		}
	}
	return nil
}

// configure writes config.txt, or completes the one that the image has.
func (p *firmware) configure(t *tree.Tree, kernel, initrd string, at tree.Time) error {
	text := ""
	if in, ok := p.files["config.txt"]; ok {
		var err error
		if text, err = readText(in); err != nil {
			return fmt.Errorf("config.txt: %w", err)
		}
	}
	own := text != "" && !strings.Contains(text, generated)
	if !own {
		text = p.defaults()
		if n, ok := t.File("etc/default/raspi-firmware-custom"); ok {
			custom, err := readText(n.Inode())
			if err != nil {
				return err
			}
			text += "\n# /etc/default/raspi-firmware-custom\n" + strings.TrimSuffix(custom, "\n") + "\n"
		}
		if _, ok := p.lookup("usercfg.txt"); ok {
			text += "include usercfg.txt\n"
		}
		p.text("config.txt", text, at)
	}
	c, err := p.read("config.txt")
	if err != nil {
		return err
	}
	if c.prefix {
		return errors.New("config.txt sets os_prefix, which a card with a root cannot have: its kernel is at the top")
	}
	var more strings.Builder
	if !c.arm64 {
		more.WriteString("arm_64bit=1\n")
	}
	if len(c.kernels) == 0 {
		more.WriteString("kernel=" + kernel + "\n")
	}
	if len(c.initramfs) == 0 && initrd != "" {
		more.WriteString("initramfs " + initrd + " followkernel\n")
	}
	if more.Len() > 0 {
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		p.text("config.txt", text+"\n[all]\n"+more.String(), at)
	}
	return p.check(c)
}

// defaults is what is said where the image says nothing: a console on the
// serial line and the names of Linux's own device trees, as Debian has it.
func (p *firmware) defaults() string {
	text := "# https://www.raspberrypi.com/documentation/computers/config_txt.html\n"
	if p.upstream {
		text += "enable_uart=1\nupstream_kernel=1\n"
	}
	return text
}
