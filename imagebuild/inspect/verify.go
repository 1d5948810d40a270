package inspect

import (
	"context"
	"fmt"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Check is one thing that was held against what an image says of itself.
type Check struct {
	Path []string // the labels of the parts down to the one that it is about
	What string   // what should be, as a sentence
	Err  error    // why it is not, or nil
}

// check is one that a part has.
type check struct {
	what string
	run  func(ctx context.Context) error
}

// check has something checked by Verify.
func (p *Part) check(what string, run func(ctx context.Context) error) {
	p.checks = append(p.checks, check{what, run})
}

// Verify checks what the part and all below it have of sums, digests and hash
// trees, and that all files can be read. The error is that of a context that
// ended; what is wrong is told by the checks.
func (p *Part) Verify(ctx context.Context) (checks []Check, err error) {
	p.All(func(path []string, q *Part) bool {
		tell := func(what string, wrong error) { checks = append(checks, Check{path, what, wrong}) }
		if q.Problem != nil {
			tell("it can be read", q.Problem)
		}
		for _, c := range q.checks {
			if err = ctx.Err(); err != nil {
				return false
			}
			tell(c.what, c.run(ctx))
		}
		if q.expected != nil {
			got, wrong := q.Digest(ctx)
			if wrong == nil && got != *q.expected {
				wrong = fmt.Errorf("it is %s", got)
			}
			tell("its SHA-256 is "+q.expected.String(), wrong)
		}
		if q.HasTree() {
			_, wrong := q.Tree(ctx)
			what := "all files can be read"
			if q.Format == manifestFormat { // which has no contents
				what = "the list of files can be read"
			}
			tell(what, wrong)
		}
		err = ctx.Err()
		return err == nil
	})
	return checks, err
}

// expect has the part's digest checked.
func (p *Part) expect(d tree.Digest) { p.expected = &d }
