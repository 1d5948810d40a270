package spec

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
)

var (
	// names are those that useradd takes by default, with a dot.
	names = lazy(`^[a-z_][a-z0-9_.-]{0,31}$`)
	// hosts are labels of RFC 1123 with dots between.
	hosts   = lazy(`^([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)*[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`)
	zones   = lazy(`^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$`)
	locales = lazy(`^[A-Za-z0-9_.@-]+$`)
	ports   = lazy(`^[0-9]{1,5}(/(tcp|udp|sctp))?$`)
	signals = lazy(`^(SIG[A-Z0-9+-]+|[0-9]{1,2})$`)
	// registries are references that are pushed to; their own package reads them.
	registries = lazy(`^oci(\+http)?://[^/@]+/[^@]+$`)
	units      = lazy(`^[A-Za-z0-9:_.@\\-]+$`)
)

// lazy compiles an expression at its first use, since most runs of the program
// read no spec.
func lazy(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// Check finds what is wrong with a spec that flags made. [Parse] has done so.
func (s *Spec) Check() error {
	at, err := s.check()
	if err == nil || at == "$" {
		return err
	}
	return fmt.Errorf("%s: %w", strings.TrimPrefix(at, "$."), err)
}

// check returns what is wrong and the YAML path where.
func (s *Spec) check() (at string, err error) {
	if s.Version == 0 {
		return "$.version", errors.New("it is not said for which version of specs this was written; begin it with \"version: 1\"")
	}
	if s.Version != 1 {
		return "$.version", fmt.Errorf("version %d of specs is not known; this samebits reads version 1", s.Version)
	}
	for _, c := range []struct {
		at   string
		text string
		form *regexp.Regexp
		what string
	}{
		{"$.hostname", s.Hostname, hosts(), "host name"},
		{"$.locale", s.Locale, locales(), "locale"},
		{"$.timezone", s.Timezone, zones(), "time zone"},
		{"$.oci.stop-signal", s.OCI.StopSignal, signals(), "signal"},
	} {
		if c.text != "" && !c.form.MatchString(c.text) {
			return c.at, fmt.Errorf("%q is no %s", c.text, c.what)
		}
	}
	for i, l := range s.Locks {
		if l == "" {
			return fmt.Sprintf("$.locks[%d]", i), errors.New("a lock wants a file name")
		}
	}
	for _, part := range []func() (string, error){s.checkAccounts, s.checkFiles, s.checkCommands, s.checkOCI, s.checkSecureBoot, s.checkOutputs} {
		if at, err := part(); err != nil {
			return at, err
		}
	}
	return "", nil
}

func (s *Spec) checkAccounts() (string, error) {
	groups, users := map[string]bool{}, map[string]bool{}
	for i, g := range s.Groups {
		at := fmt.Sprintf("$.groups[%d].", i)
		switch {
		case !names().MatchString(g.Name):
			return at + "name", fmt.Errorf("%q is no name of a group", g.Name)
		case groups[g.Name]:
			return at + "name", fmt.Errorf("the group %s is there twice", g.Name)
		}
		groups[g.Name] = true
	}
	for i, u := range s.Users {
		at := fmt.Sprintf("$.users[%d].", i)
		switch {
		case !names().MatchString(u.Name):
			return at + "name", fmt.Errorf("%q is no name of a user", u.Name)
		case users[u.Name]:
			return at + "name", fmt.Errorf("the user %s is there twice", u.Name)
		case strings.ContainsAny(u.Comment+u.Home+u.Shell+u.Password, ":\n"):
			return at + "name", fmt.Errorf("a field of the user %s has a colon or a line end", u.Name)
		case u.Home != "" && !path.IsAbs(u.Home):
			return at + "home", fmt.Errorf("the home %q does not begin with a slash", u.Home)
		}
		users[u.Name] = true
	}
	return "", nil
}

func (s *Spec) checkFiles() (string, error) {
	seen := map[string]bool{}
	for i, f := range s.Files {
		at := fmt.Sprintf("$.files[%d].", i)
		kinds := 0
		for _, is := range []bool{f.Content != nil, f.Source != "", f.Link != "", f.Directory} {
			if is {
				kinds++
			}
		}
		switch {
		case !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" || strings.ContainsRune(f.Path, 0):
			return at + "path", fmt.Errorf("%q is no path of a file in the image, such as /etc/motd", f.Path)
		case seen[f.Path]:
			return at + "path", fmt.Errorf("%s is there twice", f.Path)
		case kinds != 1:
			return at + "path", fmt.Errorf("%s wants one of content, source, link and directory", f.Path)
		case f.Template && f.Content == nil && f.Source == "":
			return at + "template", fmt.Errorf("%s has no text to fill in", f.Path)
		case f.Link != "" && f.Mode.Set:
			return at + "mode", fmt.Errorf("%s is a link, and links have no mode", f.Path)
		}
		seen[f.Path] = true
	}
	for i, p := range s.Remove {
		at := fmt.Sprintf("$.remove[%d]", i)
		if _, err := path.Match(strings.TrimSuffix(p, "/**"), ""); err != nil || !path.IsAbs(p) || strings.Contains(strings.TrimSuffix(p, "/**"), "**") {
			return at, fmt.Errorf("%q is no pattern, such as /usr/share/doc/** or /etc/*-", p)
		}
	}
	return "", nil
}

func (s *Spec) checkCommands() (string, error) {
	for i, c := range s.Run {
		if (len(c.Args) == 0) == (c.Script == "") {
			return fmt.Sprintf("$.run[%d]", i), errors.New("a command wants either args or a script")
		}
	}
	if s.NoScripts && len(s.Run) > 0 {
		return "$.run", errors.New("commands to run contradict no-scripts")
	}
	for list, services := range map[string][]string{"enable": s.Services.Enable, "disable": s.Services.Disable} {
		for i, name := range services {
			if !units().MatchString(name) {
				return fmt.Sprintf("$.services.%s[%d]", list, i), fmt.Errorf("%q is no name of a service", name)
			}
		}
	}
	return "", nil
}

// maxLayers is how many layers an image may have below its own: runtimes put no
// more than some 120 over one another.
const maxLayers = 100

func (s *Spec) checkOCI() (string, error) {
	for i, p := range s.OCI.ExposedPorts {
		if !ports().MatchString(p) {
			return fmt.Sprintf("$.oci.exposed-ports[%d]", i), fmt.Errorf("%q is no port, such as 80/tcp", p)
		}
	}
	for i, v := range s.OCI.Volumes {
		if !path.IsAbs(v) {
			return fmt.Sprintf("$.oci.volumes[%d]", i), fmt.Errorf("the volume %q does not begin with a slash", v)
		}
	}
	for name := range s.OCI.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return "$.oci.env", fmt.Errorf("%q is no name of a variable", name)
		}
	}
	if n := len(s.OCI.Layers); n > maxLayers {
		return "$.oci.layers", fmt.Errorf("there are %d layers, more than %d", n, maxLayers)
	}
	if i := slices.Index(s.OCI.Layers, ""); i >= 0 {
		return fmt.Sprintf("$.oci.layers[%d]", i), errors.New("a layer wants a lock")
	}
	if w := s.OCI.WorkingDir; w != "" && !path.IsAbs(w) {
		return "$.oci.working-dir", fmt.Errorf("the working directory %q does not begin with a slash", w)
	}
	return "", nil
}

func (s *Spec) checkOutputs() (string, error) {
	dests := map[string]bool{}
	for i, o := range s.Outputs {
		at := fmt.Sprintf("$.outputs[%d].", i)
		switch {
		case !slices.Contains(OutputTypes, o.Type):
			return at + "type", fmt.Errorf("%q is no type of output; there are %s", o.Type, strings.Join(OutputTypes, ", "))
		case o.Dest == "":
			return at + "dest", errors.New("an output wants a dest")
		case strings.Contains(o.Dest, "://") && (o.Type != "oci" || !registries().MatchString(o.Dest)):
			return at + "dest", fmt.Errorf("%q is an address that images cannot go to; there is oci://HOST/REPOSITORY:TAG for the type oci, all else goes to paths", o.Dest)
		case strings.Contains(o.Dest, "://") && o.Tag != "":
			return at + "tag", errors.New("the tag of a pushed image is a part of its dest: oci://HOST/REPOSITORY:TAG")
		case dests[o.Dest] && o.Dest != "-":
			return at + "dest", fmt.Errorf("two outputs go to %s", o.Dest)
		}
		if name, err := o.checkSettings(); err != nil {
			return at + name, err
		}
		dests[o.Dest] = true
	}
	return "", nil
}
