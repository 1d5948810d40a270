package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/samebits/samebits/fetch/oci"
	"github.com/samebits/samebits/imagebuild"
	"github.com/samebits/samebits/imagebuild/spec"
)

// asOwner goes on as who may own the files of an image: root, but for an image
// whose files lie in memory alone and go into archives.
func (s *session) asOwner(sp *spec.Spec) error {
	if sp.NoScripts && !slices.ContainsFunc(sp.Outputs, func(o spec.Output) bool { return o.Type == "dir" }) {
		return nil
	}
	return s.asRoot()
}

// checkPlaces finds what would be in the way of an image before it is made: of
// what it is written to, made in, and has added.
func (s *session) checkPlaces(sp *spec.Spec, dir string) error {
	if temp := s.getenv("TMPDIR"); temp != "" {
		if info, err := os.Stat(temp); err != nil || !info.IsDir() {
			return fmt.Errorf("TMPDIR is %s, which is no directory to work in", temp)
		}
	}
	for _, f := range sp.Files {
		if f.Source == "" {
			continue
		}
		name := f.Source
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		if _, err := os.Lstat(name); err != nil {
			return fmt.Errorf("the source of %s: %w", f.Path, err)
		}
	}
	for _, o := range sp.Outputs {
		if oci.IsReference(o.Dest) {
			continue
		}
		if err := imagebuild.CheckPlace(o, len(sp.Locks)); err != nil {
			return err
		}
	}
	return nil
}
