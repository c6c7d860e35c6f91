// Command coffer is the registry: the server and the tools of its operator. Each command is a file of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands are the command line.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run the server."`
	Env     envCommand     `cmd:"" help:"Print shell lines that point AWS clients to a running server."`
	Account accountCommand `cmd:"" help:"Make and list accounts."`
	Audit   auditCommand   `cmd:"" help:"Read the audit trail."`
	RootKey rootKeyCommand `cmd:"" help:"Make, rotate and show the root key."`
	Health  healthCommand  `cmd:"" help:"Ask a running server whether it can serve requests."`
	Migrate migrateCommand `cmd:"" help:"Look at and change the schema of the database."`
	Backup  backupCommand  `cmd:"" help:"Make, list and verify backups."`
	Restore restoreCommand `cmd:"" help:"Restore a backup into an empty place."`
	Move    moveCommand    `cmd:"" help:"Move an installation to another database or object store, or back."`
	Fsck    fsckCommand    `cmd:"" help:"Check every row against every object and key. The server must not be running."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// console is where a command writes: results to out, all else to err.
type console struct{ out, err io.Writer }

// untilInterrupted returns a context that ends when the command is told to stop. Cancel it in the end.
func untilInterrupted() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

func main() {
	os.Exit(run(os.Args[1:], console{os.Stdout, os.Stderr}))
}

// errQuiet ends a command with exit status 1 when it has said already what is wrong.
var errQuiet = errors.New("")

// flagHelp is the help of a flag with its default and its name in the environment.
func flagHelp(v *kong.Value) string {
	var facts []string
	if v.HasDefault {
		facts = append(facts, "default "+v.Default)
	}
	for _, name := range v.Tag.Envs {
		facts = append(facts, "$"+name)
	}
	if len(facts) == 0 {
		return v.Help
	}
	return strings.TrimSuffix(v.Help, ".") + " (" + strings.Join(facts, ", ") + ")."
}

// usageText says what is wrong with a command line. Where a value is missing, the parser speaks of the token that it met
// instead, which means nothing to a user.
func usageText(err error) string {
	flag, problem, _ := strings.Cut(err.Error(), ": ")
	if strings.HasPrefix(problem, "expected ") && strings.HasSuffix(problem, `got "EOL" (<EOL>)`) {
		return flag + " needs a value"
	}
	return err.Error()
}

func run(args []string, c console) (status int) {
	var cli commands
	exited, code := false, 0
	parser, err := kong.New(&cli, kong.Name("coffer"), kong.Writers(c.out, c.err), kong.ValueFormatter(flagHelp),
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
	if file, ok := errors.AsType[*fileError](err); ok {
		fmt.Fprintln(c.err, "coffer:", file)
		return 1
	}
	if err != nil {
		fmt.Fprintf(c.err, "coffer: %s\nRun \"coffer --help\" for the commands and flags.\n", usageText(err))
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
