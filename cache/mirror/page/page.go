package page

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/samebits/samebits/cache/mirror"
)

// A Mirror is what a page is of. [*mirror.Mirror] is one.
type Mirror interface {
	Status() mirror.Status
	History(name, version, arch string) []mirror.Seen
}

// Config says what a page shows.
type Config struct {
	Mirror   Mirror
	Recorder *Recorder
	Journal  string // the file; what failed is read from its end
	TLS      bool   // clients reach the mirror by https
	Tokens   bool   // clients need a token
}

//go:embed page.html
var pageHTML string

var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Funcs(template.FuncMap{
		"size": sizeText, "age": ageText, "date": dateText, "short": shortDigest,
	}).Parse(pageHTML))
})

// New returns the handler of the page. A query q searches for a package.
func New(c Config) http.Handler { return &handler{c, time.Now} }

type handler struct {
	Config
	now func() time.Time
}

// view is what the template is given.
type view struct {
	Now       time.Time
	Status    mirror.Status
	Lines     []ClientLine
	Tokens    bool
	Chart     chart
	Hits      string
	Served    int64
	Saved     int64
	Failures  []Failure
	Query     string
	Searched  bool
	Found     []mirror.Seen
	More      int
	Snapshots []snapshotMark
}

// maxFound bounds how many versions are shown, maxQuery how long a name may be
// that is searched for.
const (
	maxFound    = 500
	maxQuery    = 200
	maxFailures = 20
	maxMarks    = 200
)

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	if err := pageTemplate().Execute(&b, h.view(r)); err != nil {
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Cache-Control", "no-store")
	head.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(b.Bytes())
}

func (h *handler) view(r *http.Request) view {
	now := h.now().UTC()
	v := view{Now: now, Status: h.Mirror.Status(), Tokens: h.Tokens, Failures: failures(h.Journal, maxFailures)}
	var hours []Hour
	if h.Recorder != nil {
		hours = h.Recorder.Hours()
	}
	v.Chart = newChart(hours, now)
	var hits, misses int64
	for _, s := range hours {
		hits, misses = hits+s.Hits, misses+s.Misses
		v.Served += s.Served
		v.Saved += saved(s)
	}
	v.Hits = rate(hits, misses)
	scheme := "http://"
	if h.TLS || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https://"
	}
	var prefixes []string
	for _, u := range v.Status.Upstreams {
		prefixes = append(prefixes, u.Prefix)
	}
	v.Lines = ClientLines(scheme+r.Host, prefixes)
	v.Snapshots = marks(v.Status.Snapshots, now)
	v.search(h.Mirror, r.URL.Query().Get("q"))
	return v
}

// search looks for all versions of a package, newest first seen first.
func (v *view) search(m Mirror, q string) {
	v.Query = strings.TrimSpace(q)
	if v.Query == "" || len(v.Query) > maxQuery {
		return
	}
	v.Searched = true
	v.Found = m.History(v.Query, "", "")
	slices.SortStableFunc(v.Found, func(a, b mirror.Seen) int { return b.First.Compare(a.First) })
	if n := len(v.Found); n > maxFound {
		v.Found, v.More = v.Found[:maxFound], n-maxFound
	}
}

// A snapshotMark is a frozen state on the time line.
type snapshotMark struct {
	Name string
	At   time.Time
	X    float64 // in percent of the line
}

// marks places the newest snapshots between the oldest of them and now.
func marks(names []string, now time.Time) []snapshotMark {
	var out []snapshotMark
	for _, name := range names[max(len(names)-maxMarks, 0):] {
		if at, err := time.Parse("20060102T150405Z", name); err == nil {
			out = append(out, snapshotMark{Name: name, At: at})
		}
	}
	if len(out) == 0 {
		return nil
	}
	span := max(now.Sub(out[0].At), time.Second)
	for i := range out {
		out[i].X = min(max(1+98*float64(out[i].At.Sub(out[0].At))/float64(span), 1), 99)
	}
	return out
}

func dateText(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// ageText is how long ago a time was, in one unit.
func ageText(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return "never"
	case d < 2*time.Minute:
		return "just now"
	case d < 2*time.Hour:
		return plural(int(d.Minutes()), "minute")
	case d < 48*time.Hour:
		return plural(int(d.Hours()), "hour")
	}
	return plural(int(d.Hours()/24), "day")
}

func plural(n int, unit string) string {
	return strconv.Itoa(n) + " " + unit + "s ago"
}

func shortDigest(s interface{ String() string }) string {
	text := s.String()
	return text[:min(len(text), 12)]
}
