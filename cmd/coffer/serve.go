package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/coffer-registry/coffer/internal/app"
)

type serveCommand struct {
	configured
}

// Run serves until it is told to stop. A second signal ends it without waiting for requests.
func (s *serveCommand) Run(c console) error {
	ctx, cancel := untilInterrupted()
	defer cancel()
	log := newLog(c.err)
	server, err := app.Start(ctx, s.Config, app.Options{Log: log})
	if err != nil {
		return err
	}
	log.Info("serving", "address", server.URL(), "data", s.Data, "account", s.Account, "regions", s.Region, "fips140", app.FIPSOfProcess().String())
	tell := func(state string) {
		if err := notify(state); err != nil {
			log.Warn("no word to the service manager", "error", err)
		}
	}
	tell(stateReady)
	s.greet(c.out, server.URL(), server.CAPath())
	var failure error
	select {
	case <-ctx.Done():
		tell(stateStopping)
		log.Info("stopping; requests under way may finish")
	case failure = <-server.Failed():
	}
	cancel()
	return errors.Join(failure, server.Stop())
}

// greet tells who starts the server by hand what to type next.
func (s *serveCommand) greet(w io.Writer, url, ca string) {
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
	if ca != "" {
		s.greetTrust(w, registryHost(url), ca)
	}
}

// greetTrust tells how clients are made to trust the authority that the server made.
func (s *serveCommand) greetTrust(w io.Writer, host, ca string) {
	hosts := []string{host}
	if _, port, err := net.SplitHostPort(host); err == nil && s.Domain != "" {
		name := s.Account + ".dkr.ecr." + s.Region[0] + "." + s.Domain
		if !strings.Contains(s.Domain, ":") {
			name = net.JoinHostPort(name, port)
		}
		hosts = append(hosts, name)
	}
	fmt.Fprintf(w, "Its certificate comes from an authority that this server made. Let your clients trust that:\n\n")
	fmt.Fprintf(w, "  aws, SDKs:           export AWS_CA_BUNDLE=%s     (coffer env does that)\n", shellWord(ca))
	for _, h := range hosts {
		folder := "/etc/docker/certs.d/" + h
		fmt.Fprintf(w, "  docker, podman:      sudo install -D -m 644 %s %s\n", shellWord(ca), shellWord(folder+"/ca.crt"))
	}
	fmt.Fprintf(w, "  crane, oras, helper: export SSL_CERT_FILE=%s\n", shellWord(ca))
	fmt.Fprintf(w, "  everything, Debian:  sudo install -m 644 %s /usr/local/share/ca-certificates/coffer.crt && sudo update-ca-certificates\n\n", shellWord(ca))
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
