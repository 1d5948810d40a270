package imagebuild

import (
	"context"
	"fmt"

	"github.com/samebits/samebits/imagebuild/oci"
	"github.com/samebits/samebits/imagebuild/spec"
)

// buildBelow makes the images of the plan's layers. What the spec adds is of
// none of them, so that they are the same below every image.
func (p *Plan) buildBelow(ctx context.Context, img *Image) error {
	for _, lock := range p.Layers {
		q := *p
		q.Lock, q.Layers = lock, nil
		q.Spec = &spec.Spec{Version: 1, Epoch: p.Spec.Epoch, NoScripts: p.Spec.NoScripts}
		below, err := Build(ctx, q)
		if err != nil {
			return fmt.Errorf("the layer number %d: %w", len(img.below)+1, err)
		}
		img.below = append(img.below, below)
		// The next may be of the same lock, and then needs no assembly.
		below.saving.Wait()
	}
	return nil
}

// layers are those of the image, the lowest first: each tree's difference from
// the one below. Together they give the image's tree.
func (i *Image) layers(ctx context.Context) ([]oci.Layer, error) {
	const by = "samebits image build"
	var out []oci.Layer
	for n, img := range append(i.below[:len(i.below):len(i.below)], i) {
		t := img.Tree
		if n > 0 {
			var err error
			if t, err = oci.Diff(ctx, i.below[n-1].Tree, t); err != nil {
				return nil, err
			}
		}
		out = append(out, oci.Layer{Tree: t, CreatedBy: by})
	}
	return out, nil
}
