// Package spec reads the description of an image: a YAML file, or what flags
// say of it. docs/image-spec.md describes it for people, schema.json for
// editors.
//
// Reading is strict: what the package does not know, or finds to mean nothing,
// is an error with its line and column. It refuses to look at anything but the
// text: whether a source file is there, or a user known, is found out by who
// builds the image.
package spec
