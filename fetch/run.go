package fetch

import "context"

type run struct{ reqs []Request }

func newRun(p *Planner, reqs []Request) *run { return &run{reqs} }

func (r *run) do(ctx context.Context) *Report { return &Report{Err: ctx.Err()} }
