package apt

import (
	"strings"
)

// Options is the tree that the files of apt.conf build: names such as
// "Acquire::http::Proxy", in any case, each with a value and named children.
type Options struct {
	root  option
	count int
}

type option struct {
	tag, value string
	parent     *option
	children   []*option
}

// An Option is one value of the tree with the last part of its name, which is
// empty for the elements of a list.
type Option struct{ Name, Value string }

// maxOptions is the most names that a configuration may have.
const maxOptions = 1 << 16

// defaults are what apt is compiled with, as far as they matter here.
var defaults = []Option{
	{"Dir", "/"},
	{"Dir::State", "var/lib/apt"},
	{"Dir::State::lists", "lists/"},
	{"Dir::State::status", "/var/lib/dpkg/status"},
	{"Dir::Cache", "var/cache/apt"},
	{"Dir::Cache::archives", "archives/"},
	{"Dir::Etc", "etc/apt"},
	{"Dir::Etc::sourcelist", "sources.list"},
	{"Dir::Etc::sourceparts", "sources.list.d"},
	{"Dir::Etc::main", "apt.conf"},
	{"Dir::Etc::netrc", "auth.conf"},
	{"Dir::Etc::netrcparts", "auth.conf.d"},
	{"Dir::Etc::parts", "apt.conf.d"},
	{"Dir::Etc::preferences", "preferences"},
	{"Dir::Etc::preferencesparts", "preferences.d"},
	{"Dir::Etc::trusted", "trusted.gpg"},
	{"Dir::Etc::trustedparts", "trusted.gpg.d"},
	{"APT::Install-Recommends", "1"},
	{"APT::Install-Suggests", "0"},
}

func newOptions() *Options {
	o := &Options{}
	for _, d := range defaults {
		o.set(d.Name, d.Value)
	}
	return o
}

// Find returns the value of the named option, or "".
func (o *Options) Find(name string) string {
	if it := o.lookup(name, false); it != nil {
		return it.value
	}
	return ""
}

// Bool returns the named option as a truth value, def where it is absent or
// says neither yes nor no.
func (o *Options) Bool(name string, def bool) bool { return parseBool(o.Find(name), def) }

// parseBool knows the words that apt takes for yes and no.
func parseBool(s string, def bool) bool {
	switch strings.ToLower(s) {
	case "1", "yes", "true", "with", "on", "enable":
		return true
	case "0", "no", "false", "without", "off", "disable":
		return false
	}
	return def
}

// Children returns what is right below the named option, in the files' order.
func (o *Options) Children(name string) []Option {
	var out []Option
	if it := o.lookup(name, false); it != nil {
		for _, c := range it.children {
			out = append(out, Option{c.tag, c.value})
		}
	}
	return out
}

// List returns the values below the named option; where there are none, its
// own value split at commas.
func (o *Options) List(name string) []string {
	it := o.lookup(name, false)
	if it == nil {
		return nil
	}
	var out []string
	for _, c := range it.children {
		if c.value != "" {
			out = append(out, c.value)
		}
	}
	if out == nil {
		out = splitComma(it.value)
	}
	return out
}

// File returns the path that the named option stands for, relative to the
// root: its value, with the values of its parents before it up to the first
// absolute one. It is "" for none ("/dev/null" is how configurations say so).
func (o *Options) File(name string) string {
	it := o.lookup(name, false)
	if it == nil || it.value == "" {
		return ""
	}
	val := it.value
	for ; it.parent != nil; it = it.parent {
		up := it.parent.value
		if up == "" {
			continue
		}
		if strings.HasPrefix(val, "/") || strings.HasPrefix(val, "./") || strings.HasPrefix(val, "../") || strings.HasPrefix(val, "~/") {
			break
		}
		val = strings.TrimSuffix(up, "/") + "/" + val
	}
	if strings.HasPrefix(val, "/dev/null") {
		return ""
	}
	return cleanPath(val)
}

func (o *Options) set(name, value string) {
	if it := o.lookup(name, true); it != nil {
		it.value = value
	}
}

// clear drops the option's value and all that is below it.
func (o *Options) clear(name string) {
	if it := o.lookup(name, false); it != nil {
		it.value, it.children = "", nil
	}
}

// lookup walks the parts of a name. A name that ends in "::" stands for a new
// element of the list of that name.
func (o *Options) lookup(name string, create bool) *option {
	it := &o.root
	if name == "" {
		return it
	}
	for part := range strings.SplitSeq(name, "::") {
		var next *option
		for _, c := range it.children {
			if part != "" && strings.EqualFold(c.tag, part) {
				next = c
				break
			}
		}
		if next == nil {
			if !create || o.count >= maxOptions {
				return nil
			}
			o.count++
			next = &option{tag: part}
			if it != &o.root {
				next.parent = it
			}
			it.children = append(it.children, next)
		}
		it = next
	}
	return it
}
