package snapshot

import (
	"net/url"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
)

// Layout is the form of the timestamps in a service's URLs and answers, always
// in UTC.
const Layout = "20060102T150405Z"

const (
	timestampField = "{{.Timestamp}}"
	pathField      = "{{.Path}}"
)

// A Service is one archive as a snapshot service keeps it.
type Service struct {
	// Archive is the name that locks use for the archive, empty where the
	// mirror that the service was made of did not say.
	Archive string

	before, between string // what stands around the timestamp, up to the path
}

// NewService returns the service behind a mirror. ok is false for a mirror
// that keeps nothing, or whose URL is not a template with a timestamp and, at
// its end, a path.
func NewService(m distro.Mirror) (s *Service, ok bool) {
	base, atEnd := strings.CutSuffix(m.URL, pathField)
	before, between, dated := strings.Cut(base, timestampField)
	if !m.Keeper || !atEnd || !dated || strings.Contains(before+between, "{{") || !strings.HasSuffix(between, "/") {
		return nil, false
	}
	if u, err := url.Parse(before); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, false
	}
	return &Service{Archive: m.Archive, before: before, between: between}, true
}

// Base returns the URL, with a slash at its end, below which the archive lies
// as it was at the time t: its newest state that is not after t.
func (s *Service) Base(t time.Time) string {
	return s.before + t.UTC().Format(Layout) + s.between
}

// Name returns what the service itself calls the archive, such as "debian" or
// "debian-security": the last path element before the timestamp.
func (s *Service) Name() string {
	dir := strings.TrimSuffix(s.before, "/")
	return dir[strings.LastIndexByte(dir, '/')+1:]
}

// Host returns the host of the service, for messages.
func (s *Service) Host() string {
	u, err := url.Parse(s.before)
	if err != nil {
		return s.before
	}
	return u.Host
}

// API returns the base URL of the machine-readable interface, with a slash at
// its end. It is empty for services that are not known to have one: only those
// that lay out their URLs as snapshot.debian.org does, .../archive/NAME/TIME/,
// have.
func (s *Service) API() string {
	dir := strings.TrimSuffix(s.before, "/"+s.Name()+"/")
	if top, ok := strings.CutSuffix(dir, "/archive"); ok {
		return top + "/mr/"
	}
	return ""
}

// binFilesURL returns where the interface tells of the files of one version of
// a package, of all architectures.
func binFilesURL(api, pkg, version string) string {
	return api + "binary/" + url.PathEscape(pkg) + "/" + url.PathEscape(version) + "/binfiles?fileinfo=1"
}
