package fetch

import (
	"context"
	"io"
)

// ContextReader returns r with reads that fail once ctx has ended, for what
// reads a file to its end and knows of no context.
func ContextReader(ctx context.Context, r io.Reader) io.Reader { return contextReader{ctx, r} }

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
