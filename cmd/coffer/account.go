package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/coffer-registry/coffer/internal/app"
)

type accountCommand struct {
	Create accountCreateCommand `cmd:"" help:"Make an account of the organization, and print its id and how to get in."`
	List   accountListCommand   `cmd:"" help:"List the accounts."`
}

type accountCreateCommand struct {
	configured
	Name  string `arg:"" help:"What the account is called, such as build."`
	Email string `help:"Address of who is responsible for it; no two accounts have the same." placeholder:"ADDRESS"`
	JSON  bool   `name:"json" help:"Print a JSON object."`
}

// Run makes the account.
func (a *accountCreateCommand) Run(c console) error {
	ctx, cancel := untilInterrupted()
	defer cancel()
	made, err := app.CreateAccount(ctx, a.Config, app.NewAccount{Name: a.Name, Email: a.Email})
	if err != nil {
		return err
	}
	if a.JSON {
		return printJSON(c.out, made)
	}
	fmt.Fprintf(c.out, `%s

Users and roles of account %s that may sts:AssumeRole get in, but not its root:
  aws sts assume-role --role-arn %s --role-session-name admin
`, made.ID, made.Management, made.Role)
	return nil
}

type accountListCommand struct {
	configured
	JSON bool `name:"json" help:"Print a JSON list."`
}

// Run lists the accounts.
func (a *accountListCommand) Run(c console) error {
	ctx, cancel := untilInterrupted()
	defer cancel()
	all, err := app.ListAccounts(ctx, a.Config)
	if err != nil {
		return err
	}
	if a.JSON {
		return printJSON(c.out, all)
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tSTATUS\tNAME\tEMAIL")
	for _, account := range all {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", account.ID, account.Status, account.Name, account.Email)
	}
	return table.Flush()
}

// printJSON prints a result for programs.
func printJSON(w io.Writer, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}
