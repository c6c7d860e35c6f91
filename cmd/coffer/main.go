// Command coffer is the registry: the server and the tools of its operator. Each command is a file of its own.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// commands are the command line.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run the server."`
	Env     envCommand     `cmd:"" help:"Print shell lines that point AWS clients to a running server."`
	Audit   auditCommand   `cmd:"" help:"Read the audit trail."`
	Fsck    fsckCommand    `cmd:"" help:"Check every row against every object and key. The server must not be running."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// console is where a command writes: results to out, all else to err.
type console struct{ out, err io.Writer }

func main() {
	os.Exit(run(os.Args[1:], console{os.Stdout, os.Stderr}))
}

// errQuiet ends a command with exit status 1 when it has said already what is wrong.
var errQuiet = errors.New("")

func run(args []string, c console) (status int) {
	var cli commands
	exited, code := false, 0
	parser, err := kong.New(&cli, kong.Name("coffer"), kong.Writers(c.out, c.err), kong.UsageOnError(),
		kong.Description("A container registry that every AWS client takes for Amazon ECR, on your own machines."),
		kong.Exit(func(n int) { exited, code = true, n }))
	if err != nil {
		fmt.Fprintln(c.err, "coffer:", err)
		return 1
	}
	command, err := parser.Parse(args)
	if exited { // --help
		return code
	}
	if err != nil {
		fmt.Fprintf(c.err, "coffer: %v\nRun \"coffer --help\" for the commands and flags.\n", err)
		return 1
	}
	if err := command.Run(c); err != nil {
		if !errors.Is(err, errQuiet) {
			fmt.Fprintln(c.err, "coffer:", err)
		}
		return 1
	}
	return 0
}
