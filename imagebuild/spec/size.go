package spec

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Size is a number of bytes; nil where none is given.
type Size = *Bytes

// Bytes is a number of them.
type Bytes int64

// ParseSize reads a number of bytes, or one with a unit such as 512MiB or
// 4GiB.
func ParseSize(text string) (Size, error) {
	number, unit := text, int64(1)
	for i, suffix := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if rest, ok := strings.CutSuffix(text, suffix); ok {
			number, unit = strings.TrimSpace(rest), 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return nil, fmt.Errorf("%q is no size; one is written as 512MiB or 4GiB", text)
	}
	b := Bytes(n * unit)
	return &b, nil
}

// UnmarshalYAML reads what [ParseSize] does.
func (b *Bytes) UnmarshalYAML(node ast.Node) error {
	n, err := ParseSize(node.GetToken().Value)
	if err != nil {
		return &yaml.SyntaxError{Message: err.Error(), Token: node.GetToken()}
	}
	*b = *n
	return nil
}

// Int64 is the number, 0 for none.
func (b *Bytes) Int64() int64 {
	if b == nil {
		return 0
	}
	return int64(*b)
}
