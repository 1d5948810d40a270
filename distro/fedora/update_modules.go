package fedora

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/samebits/samebits/distro/fedora/rpm"
	"github.com/samebits/samebits/distro/fedora/rpmdb"
	"github.com/samebits/samebits/distro/fedora/yum"
)

// modulesDir is where dnf notes which stream of each module is enabled.
const modulesDir = "etc/dnf/modules.d"

// enabledStreams returns the stream of each module that is enabled: those that
// dnf has noted, and those that packages are installed from.
func (s *System) enabledStreams(all []*rpmdb.Package) map[string]string {
	out := map[string]string{}
	for _, p := range all {
		if parts := strings.Split(p.ModularityLabel, ":"); len(parts) >= 2 {
			out[parts[0]] = parts[1]
		}
	}
	entries, err := s.Files.ReadDir(modulesDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.events.Warning("the enabled modules cannot be read: " + err.Error())
	}
	for _, e := range entries {
		data, err := s.Files.ReadFile(path.Join(modulesDir, e.Name()), maxConfigFile)
		if err != nil || !strings.HasSuffix(e.Name(), ".module") {
			continue
		}
		if name, stream, ok := moduleState(string(data)); ok {
			out[name] = stream
		}
	}
	return out
}

// moduleState reads one of dnf's files of a module's state; ok is false where
// it is not enabled.
func moduleState(text string) (name, stream string, ok bool) {
	enabled := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if section, is := strings.CutPrefix(line, "["); is && name == "" {
			name, _, _ = strings.Cut(section, "]")
		}
		key, value, _ := strings.Cut(line, "=")
		switch value = strings.TrimSpace(value); strings.TrimSpace(key) {
		case "name":
			name = value
		case "stream":
			stream = value
		case "state":
			enabled = value == "enabled" || value == "1"
		}
	}
	return name, stream, enabled && name != "" && stream != ""
}

// A moduleFilter keeps packages to the enabled streams of their modules.
type moduleFilter struct {
	// ofModule are the packages of all modules; allowed says whether some
	// module that has it is enabled.
	ofModule map[rpm.NEVRA]bool
	// hidden are the names of packages of enabled modules: packages of these
	// names that are of no module are not to be had.
	hidden map[string]bool
}

func newModuleFilter(c *catalog, streams map[string]string) *moduleFilter {
	f := &moduleFilter{ofModule: map[rpm.NEVRA]bool{}, hidden: map[string]bool{}}
	for _, x := range c.indexes {
		for _, m := range x.modules {
			enabled := streams[m.Name] == m.Stream && m.Stream != ""
			for _, a := range m.Artifacts {
				n := plain(a)
				f.ofModule[n] = f.ofModule[n] || enabled
				if enabled {
					f.hidden[a.Name] = true
				}
			}
		}
	}
	return f
}

// plain spells the epochs 0 and none alike.
func plain(n rpm.NEVRA) rpm.NEVRA {
	if n.Epoch <= 0 {
		n.Epoch = rpm.NoEpoch
	}
	return n
}

func (f *moduleFilter) allows(x *index, r *yum.Record) bool {
	if enabled, modular := f.ofModule[plain(r.NEVRA)]; modular {
		return enabled
	}
	return x.repo.ModuleHotfixes || !f.hidden[r.Name]
}
