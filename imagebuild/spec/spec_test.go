package spec

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

const whole = `version: 1
locks: [SHA256SUMS-amd64, SHA256SUMS-arm64]
epoch: 2026-11-15T09:12:33Z
hostname: web.example.org
locale: C.UTF-8
timezone: Europe/Berlin
groups: [{name: app, id: 1000}]
users:
  - {name: app, id: 1000, group: app, groups: [www-data], home: /srv/app, shell: /bin/sh, comment: The app}
files:
  - {path: /etc/motd, content: "hello {{.Hostname}}\n", template: true}
  - {path: /srv/app, source: app, owner: app, group: app}
  - {path: /usr/local/bin/x, link: ../../bin/x}
  - {path: /var/empty, directory: true, mode: 0o1777}
  - {path: /etc/secret, content: "", mode: 0600, owner: "70000"}
services: {enable: [nginx.service], disable: [cron]}
run:
  - {args: [/usr/bin/true, -x]}
  - script: |
      echo hello
remove: [/usr/share/doc/**, /etc/*-]
oci:
  entrypoint: [/usr/sbin/nginx]
  env: {A: b}
  exposed-ports: [80/tcp, "443"]
  stop-signal: SIGQUIT
outputs:
  - {type: oci, dest: out, tag: v1}
  - {type: tar, dest: root.tar.zst}
`

func TestParse(t *testing.T) {
	s, err := Parse("image.yaml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	id := uint32(1000)
	if !reflect.DeepEqual(s.Users[0].ID, &id) || s.Users[0].Shell != "/bin/sh" || len(s.Users[0].Groups) != 1 {
		t.Errorf("users: %+v", s.Users)
	}
	if !s.Epoch.Equal(time.Date(2026, 11, 15, 9, 12, 33, 0, time.UTC)) {
		t.Errorf("epoch: %v", s.Epoch)
	}
	if got := fmt.Sprint(s.Files[3].Mode, s.Files[4].Mode, s.Files[0].Mode); got != "{1023 true} {384 true} {0 false}" {
		t.Errorf("modes: %s", got)
	}
	if *s.Files[4].Content != "" || s.Files[1].Content != nil {
		t.Error("an empty content is taken for none, or none for an empty one")
	}
	if s.Outputs[1].Compression() != "zstd" || s.Outputs[0].Compression() != "gzip" {
		t.Errorf("outputs: %+v", s.Outputs)
	}
	seconds, err := Parse("x", []byte("version: 1\nepoch: 1700000000\n"))
	if err != nil || seconds.Epoch.Unix() != 1700000000 {
		t.Errorf("an epoch in seconds: %v, %v", seconds, err)
	}
}

func TestBadSpecs(t *testing.T) {
	for text, want := range map[string]string{
		"":                                                                           "image.yaml: it is empty",
		"version: 2\n":                                                               "image.yaml:1:10: version 2",
		"version: 1\n---\nversion: 1\n":                                              "more than one YAML document",
		"version: 1\nhostnam: x\n":                                                   "image.yaml:2:1: ",
		"version: 1\nhostname: [x]\n":                                                "image.yaml:2:",
		"version: 1\nhostname: a b\n":                                                `image.yaml:2:11: "a b" is no host name`,
		"version: 1\ntimezone: ../../etc\n":                                          "image.yaml:2:11: ",
		"version: 1\nepoch: yesterday\n":                                             `image.yaml:2:8: "yesterday" is no time`,
		"version: 1\nepoch: -5\n":                                                    "is not between",
		"version: 1\nremove: [/a, b]\n":                                              `image.yaml:2:14: "b" is no pattern`,
		"version: 1\nremove: ['/a/**/b']\n":                                          "is no pattern",
		"version: 1\nlocks: ['']\n":                                                  "a lock wants a file name",
		"version: 1\nno-scripts: true\nrun: [{script: x}]\n":                         "contradict no-scripts",
		"version: 1\nrun: [{}]\n":                                                    "either args or a script",
		"version: 1\nfiles:\n- {path: etc/x, content: a}\n":                          "image.yaml:3:10: ",
		"version: 1\nfiles:\n- {path: /a/../b, content: a}\n":                        "is no path",
		"version: 1\nfiles:\n- {path: /a}\n":                                         "wants one of",
		"version: 1\nfiles:\n- {path: /a, content: a, link: b}\n":                    "wants one of",
		"version: 1\nfiles:\n- {path: /a, content: a, mode: 0888}\n":                 `"0888" is no mode`,
		"version: 1\nfiles:\n- {path: /a, content: a, mode: 077777}\n":               "is no mode",
		"version: 1\nfiles:\n- {path: /a, link: a, mode: 0644}\n":                    "links have no mode",
		"version: 1\nfiles:\n- {path: /a, directory: true}\n- {path: /a, link: b}\n": "image.yaml:4:10: /a is there twice",
		"version: 1\nfiles:\n- {path: /a, link: b, template: true}\n":                "no text to fill in",
		"version: 1\nusers: [{name: Bad}]\n":                                         "no name of a user",
		"version: 1\nusers: [{name: a, shell: 'x:y'}]\n":                             "a colon",
		"version: 1\nusers: [{name: a, id: -1}]\n":                                   "image.yaml:2:",
		"version: 1\nusers: [{name: a}, {name: a}]\n":                                "twice",
		"version: 1\ngroups: [{name: a}, {name: a}]\n":                               "twice",
		"version: 1\nservices: {enable: ['a b']}\n":                                  "no name of a service",
		"version: 1\noci: {exposed-ports: [x]}\n":                                    "no port",
		"version: 1\noci: {volumes: [x]}\n":                                          "no" + "t begin with a slash",
		"version: 1\noci: {layers: [a, '']}\n":                                       "a layer wants a lock",
		"version: 1\noci: {layers: [" + strings.Repeat("a, ", 100) + "a]}\n":         "101 layers, more than 100",
		"version: 1\noutputs: [{type: floppy, dest: x}]\n":                           `image.yaml:2:18: "floppy" is no type of output`,
		"version: 1\noutputs: [{type: tar}]\n":                                       "wants a dest",
		"version: 1\noutputs: [{type: tar, dest: x, compress: rar}]\n":               "no compression",
		"version: 1\noutputs: [{type: tar, dest: x}, {type: dir, dest: x}]\n":        "two outputs",
		"a: &a [*a]\n": "image.yaml",
		"\x00":         "image.yaml",
	} {
		s, err := Parse("image.yaml", []byte(text))
		var at *Error
		if err == nil || !errors.As(err, &at) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want %q", text, s, err, want)
		}
	}
	if _, err := Parse("x", make([]byte, MaxSize+1)); err == nil {
		t.Error("a spec of absurd size was read")
	}
}

func TestParseOutput(t *testing.T) {
	disk := Output{Type: "disk", Dest: "x", Size: size(4 << 30), Root: "erofs", Verity: true, Cmdline: "a=b,c quiet"}
	for text, want := range map[string]struct {
		o           Output
		compression string
	}{
		"root.tar":                   {Output{Type: "tar", Dest: "root.tar"}, "none"},
		"root.tar.gz":                {Output{Type: "tar", Dest: "root.tar.gz"}, "gzip"},
		"oci://registry.example/a:b": {Output{Type: "oci", Dest: "oci://registry.example/a:b"}, "gzip"},
		"type=oci,dest=out,tag=v1":   {Output{Type: "oci", Dest: "out", Tag: "v1"}, "gzip"},
		"dest=x.tar,compress=zstd":   {Output{Type: "tar", Dest: "x.tar", Compress: "zstd"}, "zstd"},
		"out/":                       {Output{Type: "dir", Dest: "out/"}, "none"},
		"type=tar,dest=-":            {Output{Type: "tar", Dest: "-"}, "none"},
		"initrd.img":                 {Output{Type: "cpio", Dest: "initrd.img"}, "none"},
		"web.img.zst":                {Output{Type: "disk", Dest: "web.img.zst"}, "zstd"},
		"web.qcow2":                  {Output{Type: "disk", Dest: "web.qcow2"}, "none"},
		"type=disk,dest=x,size=4GiB,root=erofs,verity,cmdline=a=b,c quiet": {disk, "none"},
		"web.iso":                       {Output{Type: "iso", Dest: "web.iso"}, "none"},
		"type=kernel+initrd,dest=boot/": {Output{Type: "kernel+initrd", Dest: "boot/"}, "none"},
	} {
		o, err := ParseOutput(text)
		if err != nil || !reflect.DeepEqual(o, want.o) || o.Compression() != want.compression {
			t.Errorf("%s: %+v with %s, %v; want %+v with %s", text, o, o.Compression(), err, want.o, want.compression)
		}
	}
	for _, text := range []string{"", "x", "type=oci", "type=x,dest=y", "dest=x", "colour=red,dest=x.tar", "s3://registry.example/a:b", "type=tar,dest=oci://registry.example/a:b", "type=oci,dest=oci://registry.example/a:b,tag=c", "oci://user:secret@registry.example/a", "type=tar,dest=s3://a/b.tar",
		"type=tar,dest=x,verity", "type=disk,dest=x,size=big", "type=disk,dest=x,verity=yes", "type=disk,dest=x,root=xfs", "dest=x.qcow2,compress=gzip"} {
		if o, err := ParseOutput(text); err == nil {
			t.Errorf("%q is %+v", text, o)
		}
	}
}

func TestCheckNamesTheField(t *testing.T) {
	s := &Spec{Version: 1, Hostname: "a b"}
	if err := s.Check(); err == nil || !strings.HasPrefix(err.Error(), "hostname: ") {
		t.Error(err)
	}
	if err := (&Spec{Version: 1}).Check(); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("version: 1\nfiles:\n- {path: /a, content: a, mode: 0888}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse("x", data)
		if err == nil && s.Check() != nil {
			t.Errorf("a spec that was read is wrong: %v", s.Check())
		}
	})
}

func size(n Bytes) Size { return &n }

func TestParseSize(t *testing.T) {
	for text, want := range map[string]Bytes{"0": 0, "4096": 4096, "1KiB": 1024, "512MiB": 512 << 20, "4 GiB": 4 << 30, "8TiB": 8 << 40} {
		if n, err := ParseSize(text); err != nil || *n != want {
			t.Errorf("%s: %v, %v; want %d", text, n.Int64(), err, want)
		}
	}
	for _, text := range []string{"", "MiB", "4G", "-1", "1.5GiB", "9000000TiB", "0x10"} {
		if n, err := ParseSize(text); err == nil {
			t.Errorf("%q is %d", text, *n)
		}
	}
}
