package alpine

import (
	"context"
	"errors"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

func (s *System) Update(ctx context.Context, lock *lockfile.Lock, req distro.LocateRequest) (*distro.Located, error) {
	return nil, errors.New("todo")
}
