package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Endpoint is what a running server leaves in its data folder for coffer env.
type Endpoint struct {
	// URL is where the server answers, such as http://127.0.0.1:5000.
	URL string
	// Region is the server's default region.
	Region string
	// CA is the file with the authority that clients are to trust; empty if the server made none.
	CA string
}

func endpointPath(data string) string { return filepath.Join(data, "endpoint") }

func writeEndpoint(data string, e Endpoint) error {
	text := e.URL + "\n" + e.Region + "\n"
	if e.CA != "" {
		text += e.CA + "\n"
	}
	if err := writeFile(endpointPath(data), text); err != nil {
		return fmt.Errorf("note the address: %w", err)
	}
	return nil
}

func removeEndpoint(data string) error {
	if err := os.Remove(endpointPath(data)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the address: %w", err)
	}
	return nil
}

// ReadEndpoint reads where the server of a data folder answers, or did before it was killed. The error is fs.ErrNotExist
// if none was left there.
func ReadEndpoint(data string) (Endpoint, error) {
	text, err := os.ReadFile(endpointPath(data))
	if err != nil {
		return Endpoint{}, fmt.Errorf("read the address of the server: %w", err)
	}
	url, rest, _ := strings.Cut(strings.TrimSuffix(string(text), "\n"), "\n")
	region, ca, _ := strings.Cut(rest, "\n")
	return Endpoint{URL: url, Region: region, CA: ca}, nil
}
