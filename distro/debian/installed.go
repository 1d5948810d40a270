package debian

import "context"

// A Status is the record of one package in dpkg's database.
type Status struct {
	Package, Version, Arch string
	Source                 string // as recorded: "name" or "name (version)"
	Want                   string // install, hold, deinstall, purge, unknown
	State                  string // installed, config-files, unpacked, …
	MultiArch              string
	Depends, PreDepends    string
	Provides               string
	Essential              bool
}

// Statuses returns all records of dpkg's database, sorted by name and
// architecture, those of packages that are not installed among them.
func (s *System) Statuses(ctx context.Context) ([]Status, error) { return nil, nil }
