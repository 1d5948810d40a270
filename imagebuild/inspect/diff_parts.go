package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// PartDifference is what two images have otherwise in one part of them.
type PartDifference struct {
	Path []string // the labels down to the part
	// Changes are of what the headers say. Where only one image has the part,
	// there is one of the attribute "part".
	Changes []Change
	Files   *Comparison // of the files, nil where they are not compared
	// Problem is why the files could not be compared, but only the bytes.
	Problem error
}

// ignored are attributes that say where something is or how it is packed, or repeat
// what the files say.
var ignored = map[string]bool{"start": true, "compression": true, "free": true, "free_inodes": true, "fragments": true, "digest": true, "diff_id": true}

// DiffAll compares two images. Where both have one tree of files, whatever their
// formats, these are compared; else part by part, and of parts of one format what
// their headers say, too. What is equal is left out.
func DiffAll(ctx context.Context, a, b *Part) ([]PartDifference, error) {
	a, b = unwrapped(a), unwrapped(b)
	x, errX := a.Files()
	y, errY := b.Files()
	if errX == nil && errY == nil && (a.Format != b.Format || x == a && y == b) {
		d, err := diffOne(ctx, nil, x, y)
		if err == nil && d.Problem != nil && a.Format != b.Format {
			err = d.Problem
		}
		return nonEmpty([]PartDifference{d}), err
	}
	if a.Format != b.Format {
		return nil, fmt.Errorf("a %s and a %s cannot be compared: %w", a.Format, b.Format, cmp.Or(errX, errY))
	}
	var out []PartDifference
	err := diffParts(ctx, nil, a, b, &out)
	return nonEmpty(out), err
}

// unwrapped is the disk in an image of one.
func unwrapped(p *Part) *Part {
	if p.Format == "qcow2" && len(p.Parts) == 1 {
		return p.Parts[0]
	}
	return p
}

func nonEmpty(list []PartDifference) []PartDifference {
	return slices.DeleteFunc(list, func(d PartDifference) bool {
		return len(d.Changes) == 0 && (d.Files == nil || len(d.Files.Differences) == 0)
	})
}

// diffParts compares two parts and all that is in them.
func diffParts(ctx context.Context, path []string, a, b *Part, out *[]PartDifference) error {
	d, err := diffOne(ctx, path, a, b)
	if err != nil {
		return err
	}
	*out = append(*out, d)
	below := func(q *Part) []string { return append(slices.Clip(path), q.Label()) }
	rest := slices.Clone(b.Parts)
	for _, q := range a.Parts {
		i := slices.IndexFunc(rest, func(r *Part) bool { return r.Label() == q.Label() })
		if i < 0 {
			*out = append(*out, PartDifference{Path: below(q), Changes: []Change{{"part", q.Format, ""}}})
			continue
		}
		if err := diffParts(ctx, below(q), q, rest[i], out); err != nil {
			return err
		}
		rest = slices.Delete(rest, i, i+1)
	}
	for _, q := range rest {
		*out = append(*out, PartDifference{Path: below(q), Changes: []Change{{"part", "", q.Format}}})
	}
	return nil
}

// diffOne compares two parts without those in them.
func diffOne(ctx context.Context, path []string, a, b *Part) (PartDifference, error) {
	d := PartDifference{Path: path}
	if a.Format == b.Format {
		d.Changes = attributes(a, b)
	}
	problem := error(ErrNoTree)
	if a.HasTree() && b.HasTree() {
		_, errA := a.Tree(ctx)
		_, errB := b.Tree(ctx)
		problem = cmp.Or(errA, errB, a.Problem, b.Problem)
	}
	switch {
	case ctx.Err() != nil:
		return d, ctx.Err()
	case problem == nil:
		d.Files = Diff(a, b)
		return d, nil
	case a.Format != b.Format:
		d.Changes = append(d.Changes, Change{"format", a.Format, b.Format})
	}
	if !errors.Is(problem, ErrNoTree) {
		d.Problem = problem
	}
	if !a.HasBytes() || !b.HasBytes() || len(a.Parts)+len(b.Parts) > 0 && d.Problem == nil {
		return d, nil
	}
	return d, d.bytes(ctx, a, b)
}

// bytes compares the digests of two parts.
func (d *PartDifference) bytes(ctx context.Context, a, b *Part) error {
	x, err := a.Digest(ctx)
	if err != nil {
		return err
	}
	y, err := b.Digest(ctx)
	if err == nil && x != y {
		d.Changes = append(d.Changes, Change{"sha256", x.String(), y.String()})
	}
	return err
}

// attributes are what the headers of two parts of a format say otherwise.
func attributes(a, b *Part) (list []Change) {
	text := func(p *Part, name string) string {
		switch v := p.Attribute(name).(type) {
		case nil:
			return ""
		case []string:
			return strings.Join(v, " ")
		default:
			return fmt.Sprint(v)
		}
	}
	var names []string
	for _, at := range slices.Concat(a.Attributes, b.Attributes) {
		if !ignored[at.Name] && !slices.Contains(names, at.Name) {
			names = append(names, at.Name)
		}
	}
	for _, name := range names {
		if x, y := text(a, name), text(b, name); x != y {
			list = append(list, Change{name, x, y})
		}
	}
	return list
}
