package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/oci"
	"github.com/samebits/samebits/imagebuild"
	"github.com/samebits/samebits/imagebuild/spec"
)

// imageSink is the repository that an output goes to; nil for one that goes
// to a path.
func (s *session) imageSink(o spec.Output) (*oci.Sink, error) {
	if !oci.IsReference(o.Dest) {
		return nil, nil
	}
	client, err := s.newOpener(distro.Access{}).registries()
	if err != nil {
		return nil, err
	}
	sink, err := oci.NewSink(client, o.Dest)
	if err != nil {
		return nil, s.usagef("output %s: %v", o.Dest, err)
	}
	return sink, nil
}

// pushImages writes images as a layout for a while, sends what the repository
// does not have of it, and prints under which digest it can be had.
func (s *session) pushImages(images []*imagebuild.Image, o spec.Output, sink *oci.Sink) (err error) {
	begun := time.Now()
	dir, err := os.MkdirTemp("", "samebits-push-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// The tag is in the registry, not in the image.
	local := o
	local.Dest, local.Tag = filepath.Join(dir, "layout"), ""
	if err := imagebuild.Write(s.ctx, images, local, s.stdout); err != nil {
		return err
	}
	image, err := oci.NewImage(s.ctx, sink, local.Dest)
	if err != nil {
		return err
	}
	sets := image.Sets()
	bar, events := s.pushProgress(sets)
	report, err := fetch.Push(s.ctx, image, sets, fetch.Pushing{Parallel: fetch.DefaultPushParallel, Events: events})
	bar.end()
	if len(report.Failed) > 0 {
		s.tellUnsent(report.Failed)
	}
	switch n := len(report.Failed); {
	case n > 0 && len(report.Left) == 0:
		return fmt.Errorf("push to %s: %d of %s could not be sent, so the image was not published; build again to send what is left", o.Dest, n, count(n+report.Sent+report.Present, "blob"))
	case err != nil:
		return fmt.Errorf("the image was not published: %w", err)
	}
	s.say("%s sent to %s, %s in %s; %d had been there", count(report.Sent, "blob"), sink.Name(), size(report.Bytes), took(time.Since(begun)), report.Present)
	return s.writeOutput("-", []byte(strings.TrimSpace(sink.Published().String())+"\n"))
}
