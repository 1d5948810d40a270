package debian

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/snapshot"
)

// askInterface asks the machine-readable interface when the files of what is
// left were first seen, and looks into the suites of that time.
func (h *hunt) askInterface(ctx context.Context) error {
	for _, p := range slices.Clone(h.left) {
		if !slices.Contains(h.left, p) {
			continue // came along with another
		}
		files, err := h.binFiles(ctx, p)
		if err != nil {
			return err
		}
		for _, f := range files {
			if f.Arch != p.Arch {
				continue
			}
			h.reasons[p] = fmt.Sprintf("the snapshot archive has had %s since %s, but no signed index that was looked into lists it", f.Path, f.FirstSeen.Format(time.DateOnly))
			if err := h.lookFor(ctx, p, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// binFiles asks each service that has an interface until one knows the package.
func (h *hunt) binFiles(ctx context.Context, p distro.Package) ([]snapshot.File, error) {
	var asked []string
	for _, w := range h.suites {
		api, host := w.service.API(), w.service.Host()
		if api == "" || slices.Contains(asked, api) || h.trouble[host] >= maxFailures {
			continue
		}
		asked = append(asked, api)
		files, err := h.client.BinFiles(ctx, api, p.Name, p.Version)
		switch {
		case err == nil:
			return files, nil
		case errors.Is(err, fs.ErrNotExist):
			h.reasons[p] = host + " does not know this version; it may be of another archive, or built by hand"
		default:
			if err := h.bear(w, api, err); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}

// lookFor looks for a package in the suites of the archive that has its file,
// as they were when it came: first in those that are configured, then in those
// through which a package may have come into them.
func (h *hunt) lookFor(ctx context.Context, p distro.Package, f snapshot.File) error {
	var tries, more []*watched
	for _, w := range h.suites {
		if w.service.Name() != f.Archive {
			continue
		}
		tries = append(tries, w)
		if codename, _, _ := strings.Cut(w.name, "-"); w.name == codename {
			more = append(more, h.besides(w, codename+"-proposed-updates"), h.besides(w, "sid"))
		}
	}
	for _, w := range append(tries, more...) {
		if err := h.look(ctx, w, f.FirstSeen); err != nil || !slices.Contains(h.left, p) {
			return err
		}
	}
	return nil
}

// besides returns the suite of the given name beside w: same archive, same
// components, same keys.
func (h *hunt) besides(w *watched, name string) *watched {
	for _, x := range append(slices.Clone(h.suites), h.others...) {
		if x.name == name && x.service == w.service {
			return x
		}
	}
	x := &watched{pastSuite: pastSuite{repo: w.repo, keys: w.keys}, name: name, service: w.service}
	h.others = append(h.others, x)
	return x
}
