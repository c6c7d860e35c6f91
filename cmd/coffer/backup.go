package main

import (
	"fmt"

	"github.com/coffer-registry/coffer/internal/app"
)

type backupCommand struct {
	Make   backupMakeCommand   `cmd:"" default:"withargs" help:"Make a backup, also while servers run. Each adds what is new to the folder."`
	List   backupListCommand   `cmd:"" help:"List the backups in a folder."`
	Verify backupVerifyCommand `cmd:"" help:"Read a backup as a whole, without restoring it."`
}

type backupMakeCommand struct {
	configured
	To      string `help:"Folder of the backups; it is made if it is missing." required:"" placeholder:"DIR"`
	Objects string `help:"Copy the objects too, or note in an inventory which there must be, where the object store keeps what is deleted." enum:"copy,inventory" default:"copy" placeholder:"HOW"`
}

// Run makes a backup.
func (b *backupMakeCommand) Run(c console) error {
	ctx, cancel := untilInterrupted()
	defer cancel()
	r := newReporter(c.err)
	made, err := app.MakeBackup(ctx, b.Config, app.BackupOptions{Folder: b.To, Inventory: b.Objects == "inventory", Tell: r.tell})
	r.clear()
	if err != nil {
		return explainLock(err)
	}
	printBackup(c, "made", made)
	fmt.Fprintf(c.out, "it opens with the root of trust alone: %s\n", app.PublicPlace(made.Root))
	return nil
}

func printBackup(c console, what string, b app.Backup) {
	objects := "its objects are copied"
	if !b.WithObjects {
		objects = "its objects are where they were"
	}
	fmt.Fprintf(c.out, "%s backup %s: %d rows, %d objects of %d bytes; %s\n", what, b.Name, b.Rows, b.Objects, b.Bytes, objects)
}

type backupListCommand struct {
	From string `help:"Folder of the backups." required:"" placeholder:"DIR"`
	JSON bool   `name:"json" help:"Print a JSON array."`
}

// Run lists the backups, oldest first.
func (b *backupListCommand) Run(c console) error {
	all, err := app.Backups(b.From)
	if err != nil {
		return err
	}
	if b.JSON {
		return printJSON(c.out, all)
	}
	for _, one := range all {
		printBackup(c, "complete", one)
	}
	return nil
}

type backupVerifyCommand struct {
	configured
	From string `help:"Folder of the backups." required:"" placeholder:"DIR"`
	Name string `help:"Name of the backup. Default: the newest."`
}

// Run verifies a backup.
func (b *backupVerifyCommand) Run(c console) error {
	ctx, cancel := untilInterrupted()
	defer cancel()
	r := newReporter(c.err)
	done, err := app.VerifyBackup(ctx, b.Config, app.RestoreOptions{Folder: b.From, Name: b.Name,
		Say: func(text string) { r.say(c.out, text) }, Tell: r.tell})
	r.clear()
	if err != nil {
		return err
	}
	printBackup(c, "verified", done)
	return nil
}

type restoreCommand struct {
	configured
	From string `help:"Folder of the backups." required:"" placeholder:"DIR"`
	Name string `help:"Name of the backup. Default: the newest."`
}

// Run restores a backup into the place that the flags of the server name.
func (b *restoreCommand) Run(c console) error {
	ctx, cancel := untilInterrupted()
	defer cancel()
	r := newReporter(c.err)
	done, err := app.Restore(ctx, b.Config, app.RestoreOptions{Folder: b.From, Name: b.Name,
		Say: func(text string) { r.say(c.out, text) }, Tell: r.tell})
	r.clear()
	if err != nil {
		return explainLock(err)
	}
	printBackup(c, "restored", done)
	return nil
}
