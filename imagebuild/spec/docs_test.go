package spec

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// examplesIn are the pieces of YAML in a page.
func examplesIn(t *testing.T, page string) []string {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(data), -1) {
		out = append(out, m[1])
	}
	return out
}

func TestDocumentedSpecs(t *testing.T) {
	var all strings.Builder
	pieces := examplesIn(t, "../../docs/image-spec.md")
	if len(pieces) < 7 {
		t.Fatalf("the page has %d examples", len(pieces))
	}
	for _, text := range pieces {
		if _, err := Parse("example", []byte(text)); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
		all.WriteString(text)
	}
	files, err := filepath.Glob("../../examples/image/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(filepath.Base(name), data); err != nil {
			t.Error(err)
		}
	}
	for _, name := range fieldsOf(reflect.TypeFor[Spec]()) {
		if !regexp.MustCompile(`(?m)(^|[ {,-])` + regexp.QuoteMeta(name) + `:`).MatchString(all.String()) {
			t.Errorf("no example of the page has %s", name)
		}
	}
}

// fieldsOf are the names of all fields of a type and of what it holds.
func fieldsOf(typ reflect.Type) []string {
	var out []string
	for typ.Kind() == reflect.Slice || typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[Time]() || typ == reflect.TypeFor[Mode]() {
		return nil
	}
	for f := range fields(typ) {
		out = append(out, f.Tag.Get("yaml"))
		out = append(out, fieldsOf(f.Type)...)
	}
	return out
}

func fields(typ reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range typ.NumField() {
			if !yield(typ.Field(i)) {
				return
			}
		}
	}
}

// TestSchema holds the schema for editors to the types that are read.
func TestSchema(t *testing.T) {
	data, err := os.ReadFile("../../docs/image-spec.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	compareSchema(t, "spec", schema, reflect.TypeFor[Spec]())
	outputs := schema["properties"].(map[string]any)["outputs"].(map[string]any)["items"].(map[string]any)
	var types []string
	for _, v := range outputs["properties"].(map[string]any)["type"].(map[string]any)["enum"].([]any) {
		types = append(types, v.(string))
	}
	if !slices.Equal(types, OutputTypes) {
		t.Errorf("the schema has the outputs %v, the reader %v", types, OutputTypes)
	}
}

func compareSchema(t *testing.T, at string, schema map[string]any, typ reflect.Type) {
	t.Helper()
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch typ {
	case reflect.TypeFor[Time](), reflect.TypeFor[Mode](), reflect.TypeFor[Bytes]():
		return
	}
	want := map[reflect.Kind]string{
		reflect.Slice: "array", reflect.Struct: "object", reflect.Map: "object", reflect.Bool: "boolean", reflect.Uint32: "integer", reflect.String: "string",
	}[typ.Kind()]
	if kind, ok := schema["type"]; ok && kind != want {
		if list, isList := kind.([]any); !isList || !slices.Contains(list, any(want)) {
			t.Errorf("%s: the schema says %v, the type %s", at, kind, want)
		}
	}
	switch typ.Kind() {
	case reflect.Slice:
		compareSchema(t, at+"[]", schema["items"].(map[string]any), typ.Elem())
	case reflect.Struct:
		if schema["additionalProperties"] != false {
			t.Errorf("%s: the schema takes unknown fields", at)
		}
		properties := maps.Clone(schema["properties"].(map[string]any))
		for f := range fields(typ) {
			name := f.Tag.Get("yaml")
			inner, ok := properties[name].(map[string]any)
			if !ok {
				t.Errorf("%s: the schema has no %s", at, name)
				continue
			}
			delete(properties, name)
			compareSchema(t, at+"."+name, inner, f.Type)
		}
		for name := range properties {
			t.Errorf("%s: the schema has %s, which is not read", at, name)
		}
	}
}
