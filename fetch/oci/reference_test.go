package oci_test

import (
	"strings"
	"testing"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/oci"
)

const someDigest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

func TestParseReference(t *testing.T) {
	for s, want := range map[string]oci.Reference{
		"oci://registry.example/packages":                  {Host: "registry.example", Repository: "packages"},
		"oci://Registry.Example:5000/a/b-c__d.e:v1":        {Host: "registry.example:5000", Repository: "a/b-c__d.e", Tag: "v1"},
		"oci+http://registry.example/a:latest":             {Host: "registry.example", Plain: true, Repository: "a", Tag: "latest"},
		"oci://localhost:5000/a":                           {Host: "localhost:5000", Plain: true, Repository: "a"},
		"oci://127.0.0.1/a":                                {Host: "127.0.0.1", Plain: true, Repository: "a"},
		"oci://[::1]:5000/a":                               {Host: "[::1]:5000", Plain: true, Repository: "a"},
		"oci://registry.localhost/a":                       {Host: "registry.localhost", Plain: true, Repository: "a"},
		"oci://127.example/a":                              {Host: "127.example", Repository: "a"},
		"oci://r.example/a:v1.0-rc_1@sha256:" + someDigest: {Host: "r.example", Repository: "a", Tag: "v1.0-rc_1"},
	} {
		ref, err := oci.ParseReference(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if strings.Contains(s, someDigest) != (ref.Digest.String() == someDigest) {
			t.Errorf("%s has the digest %s", s, ref.Digest)
		}
		want.Digest = ref.Digest
		if ref != want {
			t.Errorf("%s is %+v, want %+v", s, ref, want)
		}
	}
	for s, want := range map[string]string{
		"":                                                   "not a reference",
		"registry.example/a":                                 "not a reference",
		"https://registry.example/a":                         "not a reference",
		"oci://registry.example":                             "not the name of a repository",
		"oci://registry.example/":                            "not the name of a repository",
		"oci:///a":                                           "not the name of a registry",
		"oci://a b/a":                                        "not the name of a registry",
		"oci://registry.example:x/a":                         "not the name of a registry",
		"oci://registry.example:/a":                          "not the name of a registry",
		"oci://registry.example/A":                           "not the name of a repository",
		"oci://registry.example/a/../b":                      "not the name of a repository",
		"oci://registry.example/a//b":                        "not the name of a repository",
		"oci://registry.example/a?x=1":                       "not the name of a repository",
		"oci://registry.example/a:":                          "not a tag",
		"oci://registry.example/a:b/c":                       "not a tag",
		"oci://registry.example/a:b:c":                       "not a tag",
		"oci://registry.example/a@sha256:12":                 "not a digest",
		"oci://registry.example/a@" + someDigest:             "not a digest",
		"oci://user:s3cret@registry.example/a":               "docker login",
		"oci://registry.example/" + strings.Repeat("a", 256): "not the name of a repository",
	} {
		_, err := oci.ParseReference(s)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", s, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error tells the password", s)
		}
	}
}

func TestNames(t *testing.T) {
	c := newClient(t, "")
	source := newSource(t, c, "oci+http://registry.example:5000/a:v1")
	if got := source.Name(); got != "oci+http://registry.example:5000/a" {
		t.Errorf("the source is named %s", got)
	}
	if got := source.(fetch.Limiter).Limits().Host; got != "registry.example:5000" {
		t.Errorf("the source's host is %s", got)
	}
	if got := newSource(t, c, "oci://docker.io/a/b").(fetch.Limiter).Limits().Host; got != "registry-1.docker.io" {
		t.Errorf("docker.io is asked at %s", got)
	}
	if got := newSink(t, c, "oci://localhost:1/a:v1").Name(); got != "oci://localhost:1/a:v1" {
		t.Errorf("the sink is named %s", got)
	}
	for _, bad := range []string{"oci://registry.example/a@sha256:" + someDigest, "oci://registry.example/A"} {
		if _, err := oci.NewSink(c, bad); err == nil {
			t.Errorf("%s is taken for a sink", bad)
		}
	}
	if _, err := oci.NewSink(c, "oci://registry.example/a", "../b"); err == nil {
		t.Error("a bad name of another repository is taken")
	}
}

// What is read is written as it was read.
func FuzzParseReference(f *testing.F) {
	for _, s := range []string{
		"oci://registry.example/packages", "oci+http://[::1]:5000/a/b:v1", "oci://localhost/a@sha256:" + someDigest,
		"oci://r.example:5000/a:v1@sha256:" + someDigest, "oci://u:p@h/a", "oci:///", "oci://[::1%25x]/a", "oci://a%2f/b",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := oci.ParseReference(s)
		if err != nil {
			return
		}
		again, err := oci.ParseReference(ref.String())
		if err != nil || again != ref {
			t.Errorf("%q is read as %+v, written as %s, read as %+v, error %v", s, ref, ref, again, err)
		}
	})
}
