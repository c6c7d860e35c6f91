package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// healthCommand is for container engines and supervisors that run a command to learn how a server is: it needs no shell and no curl.
type healthCommand struct {
	configured
}

// Bounds of a question about health: the server itself gives up on its database after five seconds.
const (
	healthTimeout = 8 * time.Second
	maxHealthText = 4 << 10
)

// Run asks /readyz of --admin-listen, and succeeds if that says that requests can be served. It prints what it says.
func (h *healthCommand) Run(c console) error {
	address, err := reachable(h.AdminListen)
	if err != nil {
		return err
	}
	ctx, cancel := untilInterrupted()
	defer cancel()
	text, err := askReady(ctx, address)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, text)
	return err
}

// reachable is where a server that listens at an address can be asked on its own machine.
func reachable(listen string) (string, error) {
	if listen == "" {
		return "", errors.New("the server is asked at --admin-listen, which is turned off")
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("--admin-listen %q is not an address such as 127.0.0.1:5001", listen)
	}
	if port == "0" {
		return "", fmt.Errorf("--admin-listen %s leaves the port to the system, so that nobody knows where to ask", listen)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip == netip.IPv4Unspecified() {
		host = "127.0.0.1"
	} else if err == nil && ip == netip.IPv6Unspecified() {
		host = "::1"
	}
	return net.JoinHostPort(host, port), nil
}

// askReady returns what the server at an address says of itself. The error says why it can't serve requests.
func askReady(ctx context.Context, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return "", fmt.Errorf("ask the server: %w", err)
	}
	// What is on this machine is not asked through a proxy, whatever the environment says.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(r)
	if err != nil {
		return "", fmt.Errorf("ask the server: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxHealthText))
	if err != nil {
		return "", fmt.Errorf("ask the server: %w", err)
	}
	text := strings.TrimSpace(string(body))
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the server at %s can't serve requests (status %d): %s", address, response.StatusCode, text)
	}
	return text, nil
}
