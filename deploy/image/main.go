// Command image makes a container image of the program coffer, without a network and without a container engine.
//
//	go run ./deploy/image -binary coffer -out coffer-image.tar
//
// The image has the program, the certificates that it trusts and an empty data folder, and nothing else: no shell, no
// package, no base. It is a layout of the OCI image specification in a tar file, which docker load, podman load, skopeo and
// crane take. Equal inputs make equal bytes, so that anybody can check which source an image was made of.
package main

import (
	"bytes"
	"cmp"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

func main() {
	o := options{}
	flag.StringVar(&o.binary, "binary", "", "program to put into the image, built with CGO_ENABLED=0")
	flag.StringVar(&o.out, "out", "coffer-image.tar", "file to write")
	flag.StringVar(&o.name, "name", "coffer", "name of the image, without a tag")
	flag.StringVar(&o.revision, "revision", "", "commit that the program was built from, where it doesn't know that itself")
	flag.StringVar(&o.authorities, "ca", "/etc/ssl/certs/ca-certificates.crt", "certificates that the program trusts; empty for none")
	flag.StringVar(&o.licence, "licence", "LICENSE", "licence to put into the image")
	flag.Parse()
	if err := o.run(); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

type options struct{ binary, out, name, revision, authorities, licence string }

// run makes the image and prints its digests.
func (o options) run() error {
	at, err := epoch(os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return err
	}
	p, err := readProgram(o.binary, o.revision)
	if err != nil {
		return err
	}
	files := []file{
		{name: "data/", mode: 0o700, owner: owner},
		{name: "etc/", mode: 0o755},
		{name: "etc/group", mode: 0o644, content: []byte("coffer:x:" + strconv.Itoa(owner) + ":\n")},
		{name: "etc/passwd", mode: 0o644, content: fmt.Appendf(nil, "coffer:x:%d:%d:Coffer:/data:/sbin/nologin\n", owner, owner)},
	}
	if o.authorities != "" {
		certificates, err := os.ReadFile(o.authorities)
		if err != nil {
			return fmt.Errorf("read the certificates that are trusted, which -ca '' leaves out: %w", err)
		}
		files = append(files, file{name: "etc/ssl/", mode: 0o755}, file{name: "etc/ssl/certs/", mode: 0o755},
			file{name: "etc/ssl/certs/ca-certificates.crt", mode: 0o644, content: certificates})
	}
	licence, err := os.ReadFile(o.licence)
	if err != nil {
		return fmt.Errorf("read the licence: %w", err)
	}
	files = append(files, file{name: "usr/", mode: 0o755}, file{name: "usr/bin/", mode: 0o755},
		file{name: strings.TrimPrefix(programPath, "/"), mode: 0o755, content: p.content},
		file{name: "usr/share/", mode: 0o755}, file{name: "usr/share/doc/", mode: 0o755}, file{name: "usr/share/doc/coffer/", mode: 0o755},
		file{name: "usr/share/doc/coffer/LICENSE", mode: 0o644, content: licence})
	l, err := makeLayer(files, at)
	if err != nil {
		return err
	}
	archive, digests, err := makeArchive(o.name, p, l, at)
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.out, archive, 0o644); err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	fmt.Printf("%s: %s:%s, %s/%s, %d KiB\nmanifest %s\nconfig   %s\n",
		o.out, o.name, p.tag(), p.system, p.architecture, len(archive)>>10, digests.manifest, digests.config)
	return nil
}

// epoch is the time that everything in the image has: that of SOURCE_DATE_EPOCH, in seconds, or the start of 1970.
func epoch(text string) (time.Time, error) {
	if text == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH %q is not a number of seconds", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// program is what the image is made of, and what the Go linker wrote into it.
type program struct {
	content                                 []byte
	version, revision, system, architecture string
}

// tag is the version as a tag, which must not have a plus sign.
func (p program) tag() string { return strings.ReplaceAll(p.version, "+", "-") }

// readProgram reads a program, and refuses one that would not run in an image without libraries. Go does not know the commit
// in every kind of working copy; then it is the one that is given.
func readProgram(path, revision string) (p program, err error) {
	if p.content, err = os.ReadFile(path); err != nil {
		return p, fmt.Errorf("read the program: %w", err)
	}
	info, err := buildinfo.Read(bytes.NewReader(p.content))
	if err != nil {
		return p, fmt.Errorf("%s is not a program of Go: %w", path, err)
	}
	p.version, p.revision = info.Main.Version, cmp.Or(setting(info, "vcs.revision"), revision)
	if p.version == "" || p.version == "(devel)" {
		p.version = strings.TrimSuffix("devel-"+p.revision[:min(12, len(p.revision))], "-")
	}
	p.system, p.architecture = setting(info, "GOOS"), setting(info, "GOARCH")
	if p.system != "linux" {
		return p, fmt.Errorf("%s is a program for %s, and containers are Linux", path, p.system)
	}
	return p, static(path, p.content)
}

func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// static reports an error for a program that asks for a dynamic linker.
func static(path string, content []byte) error {
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("read the program %s: %w", path, err)
	}
	for _, part := range f.Progs {
		if part.Type == elf.PT_INTERP {
			return errors.New(path + " needs libraries, which the image has none of; build it with CGO_ENABLED=0")
		}
	}
	return nil
}
