package disk

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree"
)

func TestConfig(t *testing.T) {
	var c config
	includes := c.parse("# kernel=no\r\n\n[pi3]\nkernel = boot/vmlinuz-rpi\r\ninitramfs boot/initramfs-rpi,more.img 0x00800000\n" +
		"[pi4]\n  kernel=/boot//../vmlinuz-rpi4\nramfsfile=a,b\ninitramfs c\ninclude usercfg.txt\narm_64bit=0\ndtparam=audio=on\nos_prefix=x/\ninitramfs\nkernel=\n")
	if !slices.Equal(c.kernels, []string{"boot/vmlinuz-rpi", "vmlinuz-rpi4"}) || !slices.Equal(c.initramfs, []string{"boot/initramfs-rpi", "more.img", "a", "b", "c"}) {
		t.Errorf("it names %q and %q", c.kernels, c.initramfs)
	}
	if !slices.Equal(includes, []string{"usercfg.txt"}) || !c.arm64 || !c.prefix {
		t.Errorf("it includes %q, %+v", includes, c)
	}
}

// partition is one with some texts.
func partition(texts map[string]string) *firmware {
	p := &firmware{files: map[string]tree.Inode{}}
	for name, text := range texts {
		p.text(name, text, tree.Time{})
	}
	return p
}

func TestConfigIncludes(t *testing.T) {
	p := partition(map[string]string{"config.txt": "include One.txt\ninclude gone.txt\nkernel=a\n", "one.txt": "include two.txt\nkernel=b\n", "two.txt": "kernel=c"})
	c, err := p.read("config.txt")
	if err != nil || !slices.Equal(c.kernels, []string{"a", "b", "c"}) {
		t.Errorf("it names %+v, %v", c, err)
	}
	p = partition(map[string]string{"config.txt": "include config.txt\ninclude config.txt\n"})
	if _, err := p.read("config.txt"); err == nil || !strings.Contains(err.Error(), "includes more than 8 files") {
		t.Errorf("one that includes itself: %v", err)
	}
	for complaint, in := range map[string]tree.Inode{
		"of the type dir":                  {Mode: tree.Directory | 0o755},
		"1048577 bytes are too many":       {Mode: tree.Regular, Size: maxText + 1, Content: tree.Bytes(nil)},
		"two.txt: this cannot be read now": {Mode: tree.Regular, Size: 3, Content: unreadable{}},
	} {
		p.files["config.txt"], p.files["two.txt"] = tree.Inode{Mode: tree.Regular, Size: 15, Content: tree.Bytes([]byte("include two.txt"))}, in
		if _, err := p.read("config.txt"); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%v, not %s", err, complaint)
		}
	}
}

type unreadable struct{}

func (unreadable) Open() (io.ReadCloser, error) { return nil, errors.New("this cannot be read now") }

// FuzzConfig holds that whatever a config.txt says, it is read without harm,
// names are paths within the partition, and that the completed one says all
// that it has to and is not completed again.
func FuzzConfig(f *testing.F) {
	for _, text := range []string{"", "kernel=a\ninitramfs b followkernel\n", "[pi4]\r\narm_64bit=1\r\ninclude usercfg.txt", "kernel=../../x,/", "\x00=\xff\n[all\n#", "os_prefix=a/"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > maxText {
			return
		}
		var c config
		c.parse(text)
		for _, name := range slices.Concat(c.kernels, c.initramfs) {
			if name == "" || strings.HasPrefix(name, "/") || slices.Contains(strings.Split(name, "/"), "..") {
				t.Fatalf("it names %q", name)
			}
		}
		empty, err := new(tree.Builder).Freeze(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p := partition(map[string]string{"config.txt": text, "kernel": "k", "initrd": "i"})
		if err := p.configure(empty, "kernel", "initrd", tree.Time{}); err != nil {
			return
		}
		done, err := readText(p.files["config.txt"])
		if err != nil {
			t.Fatal(err)
		}
		var again config
		again.parse(done)
		if !again.arm64 || len(again.kernels) == 0 || len(again.initramfs) == 0 {
			t.Fatalf("%q became %q, which lacks something", text, done)
		}
		if err := p.configure(empty, "kernel", "initrd", tree.Time{}); err != nil {
			t.Fatal(err)
		}
		if twice, err := readText(p.files["config.txt"]); err != nil || twice != done {
			t.Fatalf("%q, completed twice, is %q, %v", done, twice, err)
		}
	})
}
