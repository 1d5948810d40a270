package main

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/cache/mirror"
	"github.com/samebits/samebits/imagebuild"
	"github.com/urfave/cli/v2"
)

// Every field that --json prints is told in docs/json.md, in the section of its
// verb, and every verb that has --json is there.
func TestDocumentedJSON(t *testing.T) {
	data, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for section, values := range map[string][]any{
		"A lock":              {inspected{}},
		"Changes of packages": {difference{}},
		"Sources":             {sourceList{}},
		"The cache":           {cache.Info{}, cache.Blob{}, cache.Verified{}, cache.Imported{}, cache.Pruned{}, pinned{}},
		"An image":            {shown{}, listedFile{}, checked{}},
		"Changes of images":   {imageDifference{}},
		"Rules":               {imagebuild.Applied{}, listedRule{}},
		"A mirror":            {mirror.Status{}},
	} {
		_, text, ok := strings.Cut(page, "\n## "+section+"\n")
		if !ok {
			t.Errorf("no section %q", section)
		}
		text, _, _ = strings.Cut(text, "\n## ")
		for _, v := range values {
			for _, name := range jsonFields(reflect.TypeOf(v), map[reflect.Type]bool{}) {
				if !strings.Contains(text, "`"+name+"`") {
					t.Errorf("%q does not tell of %s, which %T has", section, name, v)
				}
			}
		}
	}
	p, _, _ := testProgram()
	verbs, _, _ := strings.Cut(page, "\n## ")
	eachVerb(p.app().Commands, nil, func(path []string, c *cli.Command) {
		named := strings.Contains(verbs, "`samebits "+strings.Join(path, " ")+"`") ||
			path[0] == "cache" && strings.Contains(verbs, "`"+path[len(path)-1]+"`")
		if findFlag(c.Flags, "json") != nil && !named {
			t.Errorf("the table of verbs lacks %v", path)
		}
	})
}

// jsonFields are the names of all fields in the JSON of a type.
func jsonFields(t reflect.Type, seen map[reflect.Type]bool) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return nil
	}
	seen[t] = true
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() && !f.Anonymous {
			continue
		}
		if name != "" {
			names = append(names, name)
		}
		if name != "" || f.Anonymous {
			names = append(names, jsonFields(f.Type, seen)...)
		}
	}
	return names
}
