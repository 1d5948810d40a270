package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/samebits/samebits/cache/mirror"
	"github.com/samebits/samebits/cache/mirror/share"
	"github.com/samebits/samebits/fetch/s3"
)

// A storeURL is the bucket that several mirrors share, as s3.ParseURL reads it.
type storeURL string

func (u *storeURL) UnmarshalYAML(n ast.Node) error {
	return scalar(n, func(s string) error {
		*u = storeURL(s)
		c, err := s3.ParseURL(s)
		if err == nil && c.Lock != "" {
			err = errors.New("lock= means nothing for a mirror's store")
		}
		return err
	})
}

// planStore opens the store that the configuration names, if it names one. The
// store is not asked yet. Keys come from the AWS_ variables or the shared
// credentials.
func (s *session) planStore(p *mirrorPlan, f *mirrorFile) error {
	if f.Store == "" {
		return nil
	}
	c, err := s.bucket(string(f.Store))
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	p.mirror.Share, err = share.OpenS3(p.mirror.Client, c)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return nil
}

// storeText is a line for a person about the store that mirrors share.
func storeText(st *mirror.StoreStatus, now time.Time) string {
	if st == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "store     %s: %s from it, %d handed to it, %d waiting\n", st.Name, count(int(st.Hits), "file"), st.Uploads, st.Queued)
	if st.Bad > 0 {
		fmt.Fprintf(&b, "ATTENTION %s in the store had been damaged; the log tells which\n", count(int(st.Bad), "object"))
	}
	if st.Error != "" {
		fmt.Fprintf(&b, "ATTENTION the store cannot be used for %s, and this mirror goes on alone: %s\n", took(now.Sub(st.Since)), st.Error)
	}
	return b.String()
}
