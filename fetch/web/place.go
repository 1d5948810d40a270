package web

import (
	"errors"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// A Place is where files of an archive, or of any, can be had.
type Place struct {
	// URL is a base URL below which files lie at their locked paths, or a
	// template that has fields: {{.Path}}, {{.Basename}}, {{.SHA256}},
	// {{.CID}}, {{.Timestamp}}; {{.Name}} is another word for {{.Path}}. It
	// may hold a login.
	URL string
	// Archive is the archive that lies there; zero for any. One without a
	// URL stands for every archive of its name.
	Archive lockfile.Archive
	// Keeper marks a place that keeps everything for everyone, and is asked
	// for one file at a time.
	Keeper bool
}

// New returns the place as a source. It fails where the URL cannot be used.
func New(client *Client, place Place) (fetch.Source, error) {
	return nil, errors.ErrUnsupported
}
