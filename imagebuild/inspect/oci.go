package inspect

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/samebits/samebits/distro/decompress"
	"github.com/samebits/samebits/imagebuild/oci"
	"github.com/samebits/samebits/imagebuild/tree"
)

// maxLayers is how many layers one image may have.
const maxLayers = 1000

// layout opens an OCI image layout.
func (o *opener) layout(p *Part, b blobs, depth int) {
	p.Format = "oci layout"
	p.load = nil // of an archive: the files of the layout itself
	var version v1.ImageLayout
	if err := document(b, "oci-layout", &version); err != nil {
		p.fail(err)
		return
	}
	p.add("version", version.Version)
	var index v1.Index
	if err := document(b, "index.json", &index); err != nil {
		p.fail(err)
		return
	}
	o.index(p, b, index.Manifests, depth)
}

// index opens what an index names.
func (o *opener) index(p *Part, b blobs, list []v1.Descriptor, depth int) {
	for _, d := range list {
		if o.parts++; o.parts > maxParts || depth > maxDepth {
			p.fail(errNesting)
			return
		}
		q, err := blob(b, d)
		if err != nil {
			p.fail(err)
			return
		}
		q.Name = cmp.Or(d.Annotations[v1.AnnotationRefName], platformOf(d.Platform), d.Digest.String())
		q.add("platform", platformOf(d.Platform))
		p.Parts = append(p.Parts, q)
		if q.Problem != nil {
			continue
		}
		switch d.MediaType {
		case v1.MediaTypeImageIndex, "application/vnd.docker.distribution.manifest.list.v2+json":
			q.Format = "oci index"
			var inner v1.Index
			if err := parse(q.source, d.Digest.String(), &inner); err != nil {
				q.fail(err)
				continue
			}
			o.index(q, b, inner.Manifests, depth+1)
		default:
			o.image(q, b, depth)
		}
	}
}

func platformOf(p *v1.Platform) string {
	if p == nil {
		return ""
	}
	return strings.Trim(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// image opens a manifest.
func (o *opener) image(p *Part, b blobs, depth int) {
	p.Format = "oci image"
	var m v1.Manifest
	if err := parse(p.source, "the manifest", &m); err != nil {
		p.fail(err)
		return
	}
	p.add("annotations", pairs(m.Annotations))
	if len(m.Layers) > maxLayers {
		p.fail(fmt.Errorf("%d layers", len(m.Layers)))
		return
	}
	config, err := blob(b, m.Config)
	if err == nil {
		err = config.Problem
	}
	if err != nil {
		p.fail(fmt.Errorf("the configuration: %w", err))
		return
	}
	config.Name, config.Format = "config", "json"
	p.Parts = append(p.Parts, config)
	if m.ArtifactType != "" || !strings.Contains(m.Config.MediaType, "image") && !strings.Contains(m.Config.MediaType, "container") {
		p.Format = "oci artifact"
		p.add("artifact_type", cmp.Or(m.ArtifactType, m.Config.MediaType))
		o.files(p, b, m.Layers)
		return
	}
	var c v1.Image
	if err := parse(config.source, "the configuration", &c); err != nil {
		p.fail(err)
		return
	}
	p.describe(c)
	var layers []*Part
	for _, d := range m.Layers {
		layer, err := blob(b, d)
		if err != nil {
			p.fail(err)
			return
		}
		layers = append(layers, layer)
	}
	o.layers(p, layers, c, depth)
}

// files are those of an artifact that is no image.
func (o *opener) files(p *Part, b blobs, list []v1.Descriptor) {
	for _, d := range list {
		if o.parts++; o.parts > maxParts {
			p.fail(fmt.Errorf("there are more than %d parts", maxParts))
			return
		}
		q, err := blob(b, d)
		if err != nil {
			p.fail(err)
			return
		}
		q.Name = cmp.Or(d.Annotations[v1.AnnotationTitle], d.Digest.String())
		p.Parts = append(p.Parts, q)
	}
}

// describe tells what a configuration has.
func (p *Part) describe(c v1.Image) {
	if p.Attribute("platform") == nil {
		p.add("platform", platformOf(&c.Platform))
	}
	if c.Created != nil {
		p.add("created", tree.TimeOf(*c.Created))
	}
	p.add("author", c.Author)
	p.add("user", c.Config.User)
	p.add("env", c.Config.Env)
	p.add("entrypoint", c.Config.Entrypoint)
	p.add("cmd", c.Config.Cmd)
	p.add("working_dir", c.Config.WorkingDir)
	p.add("exposed_ports", slices.Sorted(maps.Keys(c.Config.ExposedPorts)))
	p.add("volumes", slices.Sorted(maps.Keys(c.Config.Volumes)))
	p.add("stop_signal", c.Config.StopSignal)
	p.add("labels", pairs(c.Config.Labels))
}

func pairs(m map[string]string) (list []string) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		list = append(list, key+"="+m[key])
	}
	return list
}

// layers are parts of an image, whose tree is what they give together.
func (o *opener) layers(p *Part, layers []*Part, c v1.Image, depth int) {
	if len(layers) != len(c.RootFS.DiffIDs) {
		p.fail(fmt.Errorf("%d layers, and the configuration has %d", len(layers), len(c.RootFS.DiffIDs)))
		return
	}
	var said []string // by whom each layer was made
	for _, h := range c.History {
		if !h.EmptyLayer {
			said = append(said, h.CreatedBy)
		}
	}
	for i, q := range layers {
		q.Name = fmt.Sprintf("layer/%d", i+1)
		if len(said) == len(layers) {
			q.add("created_by", said[i])
		}
		q.add("diff_id", c.RootFS.DiffIDs[i].String())
		if q.Problem != nil {
			p.Parts = append(p.Parts, q)
			continue
		}
		o.child(p, q, max(depth, 1))
		q.checkDiffID(c.RootFS.DiffIDs[i])
	}
	p.holds = holdsAll
	p.load = func(ctx context.Context) (*tree.Tree, []Attribute, error) { return applied(ctx, layers) }
}

// applied is the tree of all layers.
func applied(ctx context.Context, layers []*Part) (*tree.Tree, []Attribute, error) {
	t, err := (&tree.Builder{}).Freeze(ctx)
	for _, q := range layers {
		if err == nil {
			err = q.Problem
		}
		if err == nil && !q.HasTree() {
			err = errors.New("it is no archive")
		}
		var upper *tree.Tree
		if err == nil {
			upper, err = q.Tree(ctx)
		}
		if err == nil {
			t, err = oci.Apply(ctx, t, upper)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", q.Name, err)
		}
	}
	return t, nil, nil
}

// checkDiffID has the digest of a layer's archive checked, which is not that of
// the blob where this is compressed.
func (p *Part) checkDiffID(id digest.Digest) {
	p.check("its archive is "+id.String(), func(ctx context.Context) error {
		r, err := p.Open()
		if err != nil {
			return err
		}
		defer r.Close()
		u, err := decompress.Sniff(&interruptible{ctx, r})
		if err != nil {
			return err
		}
		defer u.Close()
		h := sha256.New()
		if _, err := io.Copy(h, &counter{r: u}); err != nil {
			return err
		}
		if got := digest.NewDigest(digest.SHA256, h); got != id {
			return fmt.Errorf("it is %s", got)
		}
		return nil
	})
}

// dockerImage is an entry of manifest.json.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// docker opens an archive that "docker save" or "docker load" has; one whose
// manifest.json is something else stays what it was.
func (o *opener) docker(p *Part, b blobs, depth int) {
	var images []dockerImage
	if err := document(b, "manifest.json", &images); err != nil || len(images) == 0 || images[0].Config == "" {
		return
	}
	p.Format = "docker archive"
	p.load = nil
	for i, image := range images {
		if o.parts++; o.parts > maxParts || len(image.Layers) > maxLayers {
			p.fail(errors.New("too many images or layers"))
			return
		}
		q := &Part{Name: fmt.Sprintf("image/%d", i+1), Format: "docker image", Size: -1}
		if len(image.RepoTags) > 0 {
			q.Name = image.RepoTags[0]
		}
		q.add("tags", image.RepoTags)
		p.Parts = append(p.Parts, q)
		if err := o.dockerImage(q, b, image, depth); err != nil {
			q.fail(err)
		}
	}
}

func (o *opener) dockerImage(p *Part, b blobs, image dockerImage, depth int) error {
	s, err := b.open(image.Config)
	if err != nil {
		return err
	}
	var c v1.Image
	if err := parse(s, image.Config, &c); err != nil {
		return err
	}
	config := &Part{Name: "config", Format: "json", Size: s.size, source: s}
	name := strings.TrimSuffix(strings.TrimPrefix(image.Config, "blobs/sha256/"), ".json")
	if want, err := digestOf(digest.NewDigestFromEncoded(digest.SHA256, name)); err == nil {
		config.expect(want)
	}
	p.Parts = append(p.Parts, config)
	p.describe(c)
	var layers []*Part
	for _, name := range image.Layers {
		q := &Part{Format: unknownFormat}
		if q.source, err = b.open(name); err != nil {
			return err
		}
		layers = append(layers, q)
	}
	o.layers(p, layers, c, depth)
	return p.Problem
}
