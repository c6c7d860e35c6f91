// Gen writes the Go types, constants and model tables of an AWS service from its interface in the folder api: plain structs
// with the names of the wire in their tags, the values of enumerations, the codes of errors, and the tables that package
// awsapi decodes, validates and encodes by. It reads nothing but that file, and its output depends on nothing else.
//
// Rules for fields: what is required is plain; optional numbers, booleans, times and structures are pointers, so that
// absent and zero differ; optional strings are plain and absent when empty; lists, maps and blobs are absent when nil and
// present when empty.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	input := flag.String("model", "", "the interface, a file of the folder api")
	name := flag.String("name", "", "the name of the service and of the package")
	output := flag.String("out", "", "the file to write")
	flag.Parse()
	if err := run(*input, *name, *output); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(input, name, output string) error {
	code, err := generate(input, name)
	if err != nil {
		return fmt.Errorf("generate package %s: %w", name, err)
	}
	return os.WriteFile(output, code, 0o644)
}
