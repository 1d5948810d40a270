package disk

import (
	"context"
	"errors"

	"github.com/samebits/samebits/imagebuild/tree"
)

// writePi writes a card for a Raspberry Pi.
func writePi(context.Context, File, *tree.Tree, Options) (*Layout, error) {
	return nil, errors.New("no card for a Raspberry Pi can be written yet")
}
