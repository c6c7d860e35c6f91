package main

import (
	"fmt"

	"github.com/coffer-registry/coffer/internal/app"
)

type auditCommand struct {
	Tail auditTailCommand `cmd:"" help:"Print the newest records of the trail, each a line of JSON in CloudTrail's format."`
}

type auditTailCommand struct {
	configured
	Lines  int  `short:"n" help:"How many of the newest records, at most 100000." default:"10" placeholder:"N"`
	Follow bool `short:"f" help:"Go on with each new record."`
}

// Run prints the trail.
func (a *auditTailCommand) Run(c console) error {
	if a.Lines < 0 {
		return fmt.Errorf("--lines %d is negative", a.Lines)
	}
	ctx, cancel := untilInterrupted()
	defer cancel()
	return app.Tail(ctx, a.Config, app.TailOptions{Lines: a.Lines, Follow: a.Follow}, c.out)
}
