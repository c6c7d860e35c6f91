package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/coffer-registry/coffer/internal/app"
)

type serveCommand struct {
	configured
}

// Run serves until it is told to stop. A second signal ends it without waiting for requests.
func (s *serveCommand) Run(c console) error {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	log := newLog(c.err)
	server, err := app.Start(ctx, s.Config, app.Options{Log: log})
	if err != nil {
		return err
	}
	log.Info("serving", "address", server.URL(), "data", s.Data, "account", s.Account, "regions", s.Region, "fips140", app.FIPSOfProcess().String())
	s.greet(c.out, server.URL())
	var failure error
	select {
	case <-ctx.Done():
		log.Info("stopping; requests under way may finish")
	case failure = <-server.Failed():
	}
	cancel()
	return errors.Join(failure, server.Stop())
}

// greet tells who starts the server by hand what to type next.
func (s *serveCommand) greet(w io.Writer, url string) {
	if !isTerminal(w) && os.Getenv("COFFER_GREET") == "" {
		return
	}
	program, data := shellWord(os.Args[0]), ""
	if s.Data != app.DefaultData {
		data = " --data " + shellWord(s.Data)
	}
	fmt.Fprintf(w, `
Coffer is ready at %s. In another terminal, type:

  eval "$(%s env%s)"
  aws ecr create-repository --repository-name hello
  aws ecr get-login-password | docker login --username AWS --password-stdin %s

`, url, program, data, registryHost(url))
}

// newLog writes lines of text for people and of JSON for machines.
func newLog(w io.Writer) *slog.Logger {
	if isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, nil))
	}
	return slog.New(slog.NewJSONHandler(w, nil))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
