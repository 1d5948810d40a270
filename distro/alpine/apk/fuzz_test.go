package apk_test

import (
	"bytes"
	"testing"

	"github.com/samebits/samebits/distro/alpine/apk"
)

func FuzzReadIndex(f *testing.F) {
	f.Add(index(f, indexText, by(f, alice(), "RSA")))
	f.Add(index(f, "P:a\nV:1\n\n", nil))
	for _, name := range []string{"sha256.adb", "short.adb", "mixed.adb", "unsigned.adb"} {
		f.Add(v3(f, name))
	}
	keys := v3Keys(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		x, err := apk.ReadIndex(bytes.NewReader(data), nil)
		signed, signedErr := apk.ReadIndex(bytes.NewReader(data), keys)
		if signedErr == nil && (err != nil || signed.Signer == "" || len(signed.Records) != len(x.Records)) {
			t.Fatal("what is signed reads differently:", err)
		}
		if err != nil {
			return
		}
		for _, r := range x.Records {
			if r.Name == "" || r.Version == "" {
				t.Fatalf("%+v", r)
			}
		}
	})
}

// FuzzIndexText goes past compression and signature.
func FuzzIndexText(f *testing.F) {
	f.Add(indexText)
	f.Add(offeredText)
	f.Fuzz(func(t *testing.T, text string) {
		x, err := apk.ReadIndex(bytes.NewReader(index(t, text, nil)), nil)
		if err != nil {
			return
		}
		for _, r := range x.Records {
			for _, s := range r.Depends {
				if d, err := apk.ParseDependency(s); err == nil {
					d.Matches(r)
				}
			}
		}
	})
}

// FuzzADB goes past the compression of files of apk 3.
func FuzzADB(f *testing.F) {
	f.Add(v3(f, "mixed.adb"))
	f.Add(v3(f, v3Files["meta"]))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 8 {
			return
		}
		for _, head := range []string{"ADB.indx", "ADB.pckg"} {
			b := append([]byte(head), data[8:]...)
			if _, err := apk.ReadIndex(bytes.NewReader(b), nil); err == nil && head != "ADB.indx" {
				t.Error("a package as an index")
			}
			if r, err := apk.ReadPackage(bytes.NewReader(b)); err == nil {
				r.Size = int64(len(b))
				if err := apk.CheckPackage(bytes.NewReader(b), r, nil); err != nil {
					t.Log(err)
				}
			}
		}
	})
}

func FuzzPackage(f *testing.F) {
	p := build(f, "hello", "1.0-r0", "x86_64")
	f.Add(p.signed(f, alice(), "RSA"))
	f.Add(p.unsigned())
	for _, name := range v3Files {
		f.Add(v3(f, name))
	}
	keys := keysOf(f, bob())
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := apk.ReadPackage(bytes.NewReader(data))
		if err != nil {
			return
		}
		if r.Name == "" || r.Version == "" || len(r.Identity) < 20 {
			t.Fatalf("%+v", r)
		}
		named := apk.Record{Name: r.Name, Version: r.Version}
		if err := apk.CheckPackage(bytes.NewReader(data), named, keys); err == nil {
			t.Fatal("nobody has this key")
		}
		if err := apk.CheckPackage(bytes.NewReader(data), r, nil); err != nil {
			return
		}
		if err := apk.CheckPackage(bytes.NewReader(append(data, 0)), r, nil); err == nil {
			t.Fatal("a byte more is accepted")
		}
	})
}

func FuzzReadInstalled(f *testing.F) {
	f.Add([]byte(installedText))
	f.Add(v3(f, "installed"))
	f.Fuzz(func(t *testing.T, data []byte) {
		records, err := apk.ReadInstalled(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, r := range records {
			if r.Name == "" || r.Version == "" {
				t.Fatalf("%+v", r)
			}
		}
	})
}

func FuzzParseRepositories(f *testing.F) {
	f.Add([]byte("# c\nhttps://dl-cdn.alpinelinux.org/alpine/v3.19/main\n@e /x\nset -default a=b\nv3 /${a:1} c d\nndx /a/b.adb\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		repos, err := apk.ParseRepositories("r", data)
		if err != nil {
			return
		}
		for _, r := range repos {
			if r.IndexName == "" || r.LineNo == 0 || r.Tag == "@" {
				t.Fatalf("%+v", r)
			}
		}
	})
}

func FuzzParseDependency(f *testing.F) {
	for s := range wishes {
		f.Add(s)
	}
	rec := offered(f)
	f.Fuzz(func(t *testing.T, s string) {
		d, err := apk.ParseDependency(s)
		if err != nil {
			return
		}
		again, err := apk.ParseDependency(d.String())
		if err != nil || again != d {
			t.Fatalf("%q reads as %+v, which is spelled %q", s, d, d)
		}
		d.Matches(rec)
	})
}

// FuzzCompare holds the order to be one.
func FuzzCompare(f *testing.F) {
	for i, v := range odd {
		f.Add(v, odd[(i+7)%len(odd)])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if apk.Compare(a, a) != 0 || apk.Compare(a, b) != -apk.Compare(b, a) {
			t.Fatalf("%q and %q", a, b)
		}
		apk.ValidVersion(a)
	})
}
