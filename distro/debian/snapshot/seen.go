package snapshot

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"strings"
	"time"
)

// maxEpochs bounds how many versions of a package may differ in the epoch
// alone. In practice there is one.
const maxEpochs = 4

// SeenAt returns a time at which the archive of the service has the file at
// path, such as "pool/main/h/hello/hello_2.10-3_amd64.deb": the first state in
// which it was seen. A file that was dropped before the date of a lock is not
// to be had below [Service.Base] of that date, but it is below that of this
// time. A service without a machine-readable interface, and one that does not
// know the file, give an error that wraps fs.ErrNotExist.
//
// What the interface says is not signed. The file has to be held to its digest
// like that of any other source.
func (c *Client) SeenAt(ctx context.Context, s *Service, path string) (time.Time, error) {
	unknown := fmt.Errorf("%s does not tell when it had %s: %w", s.Host(), path, fs.ErrNotExist)
	name, version, ok := nameAndVersion(path)
	if !ok || s.API() == "" {
		return time.Time{}, unknown
	}
	versions, err := c.versions(ctx, s.API(), name, version)
	if err != nil {
		return time.Time{}, err
	}
	for _, v := range versions {
		files, err := c.BinFiles(ctx, s.API(), name, v)
		if err != nil {
			return time.Time{}, err
		}
		for _, f := range files {
			if f.Archive == s.Name() && f.Path == path {
				return f.FirstSeen, nil
			}
		}
	}
	return time.Time{}, unknown
}

// nameAndVersion reads NAME_VERSION_ARCH.deb at the end of a path. The version
// is without its epoch.
func nameAndVersion(path string) (name, version string, ok bool) {
	base := path[strings.LastIndexByte(path, '/')+1:]
	parts := strings.Split(base, "_")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" {
		return "", "", false
	}
	return parts[0], parts[1], true
}

// versions asks for the versions of a package that are the given one but for
// an epoch.
func (c *Client) versions(ctx context.Context, api, name, version string) ([]string, error) {
	url := api + "binary/" + url.PathEscape(name) + "/"
	body, err := c.Get(ctx, url)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	found, err := readVersions(body, version)
	if err != nil {
		return nil, fmt.Errorf("the answer of %s cannot be used: %w", url, err)
	}
	return found, nil
}

func readVersions(r io.Reader, version string) ([]string, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxJSON+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxJSON {
		return nil, fmt.Errorf("it has more than %d bytes", maxJSON)
	}
	var answer struct {
		Result []struct {
			BinaryVersion string `json:"binary_version"`
		} `json:"result"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, err
	}
	var out []string
	for _, r := range answer.Result {
		_, bare, epoch := strings.Cut(r.BinaryVersion, ":")
		if !epoch {
			bare = r.BinaryVersion
		}
		if bare == version && len(out) < maxEpochs {
			out = append(out, r.BinaryVersion)
		}
	}
	return out, nil
}
