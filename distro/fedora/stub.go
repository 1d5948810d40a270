package fedora

import (
	"context"
	"errors"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// Update is still to be written.
func (s *System) Update(context.Context, *lockfile.Lock, distro.LocateRequest) (*distro.Located, error) {
	return nil, errors.New("samebits cannot update locks of rpm systems yet")
}
