package blob

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// s3Place is what the URL of a store says: which bucket, and how its server is spoken to.
type s3Place struct {
	bucket string
	// prefix begins the names of all objects of the store; it is empty or ends with a slash.
	prefix    string
	endpoint  string // empty for AWS
	region    string // empty if it is to be found in the environment
	pathStyle bool
	profile   string
	// encryption is the store's own, which is extra: empty, AES256 or aws:kms.
	encryption string
	kmsKey     string
}

func (p s3Place) String() string { return "s3://" + p.bucket + "/" + p.prefix }

// CheckS3URL reports in one line what is wrong with the URL of a store. It asks no server.
//
// A URL is s3://bucket/prefix?parameters. The prefix may be missing. The parameters are:
//
//	endpoint    URL of a server that isn't AWS's, such as https://s3.example.com:9000; http:// is allowed
//	region      region of the bucket; by default that of the environment, and us-east-1 with an endpoint
//	path-style  true: the bucket is named in the path; false: in the host's name; auto, the default: true with an endpoint
//	profile     profile of the AWS configuration files that credentials are taken from
//	encryption  the store's own encryption, which is extra: AES256 or aws:kms; by default what the bucket is set to
//	kms-key     key for aws:kms; by default the account's
//
// Credentials are never in the URL: they are taken from the environment, from files, or from the machine.
func CheckS3URL(text string) error {
	_, err := parseS3URL(text)
	return err
}

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	prefixName = regexp.MustCompile(`^[A-Za-z0-9!_.'()*-]+(/[A-Za-z0-9!_.'()*-]+)*$`)
	regionName = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
	s3Options  = []string{"endpoint", "region", "path-style", "profile", "encryption", "kms-key"}
)

const (
	maxPrefix     = 512
	defaultRegion = "us-east-1" // which servers that have no regions take
)

func parseS3URL(text string) (p s3Place, err error) {
	u, err := url.Parse(text)
	if err != nil {
		// The error of url.Parse repeats the text, which may hold a password.
		return p, errors.New("the URL of the object store is none: write s3://bucket/prefix?endpoint=https://host")
	}
	switch {
	case u.Scheme != "s3":
		return p, errors.New("the URL of an object store begins with s3://")
	case u.User != nil:
		return p, errors.New("the URL of the object store holds credentials: take them out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or use a file or the machine's role")
	case u.Fragment != "" || u.Opaque != "":
		return p, errors.New("the URL of the object store is s3://bucket/prefix?parameters, and nothing more")
	case !bucketName.MatchString(u.Host) || strings.Contains(u.Host, ".."):
		return p, fmt.Errorf("%q is not the name of a bucket", u.Host)
	}
	p.bucket = u.Host
	if prefix := strings.Trim(u.Path, "/"); prefix != "" {
		if !prefixName.MatchString(prefix) || len(prefix) > maxPrefix || slices.ContainsFunc(strings.Split(prefix, "/"), isDots) {
			return p, fmt.Errorf("the prefix %q of the object store has other characters than letters, digits, / and !_.'()*-, or is too long", prefix)
		}
		p.prefix = prefix + "/"
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return p, errors.New("the parameters of the object store's URL can't be read: write name=value&name=value")
	}
	return p, p.take(query)
}

func isDots(s string) bool { return s == "." || s == ".." }

// take takes the parameters.
func (p *s3Place) take(query url.Values) error {
	for name, values := range query {
		if !slices.Contains(s3Options, name) {
			return fmt.Errorf("the object store's URL has the unknown parameter %q: there are %s", name, strings.Join(s3Options, ", "))
		}
		if len(values) != 1 || values[0] == "" {
			return fmt.Errorf("the parameter %s of the object store's URL needs one value", name)
		}
	}
	if endpoint := query.Get("endpoint"); endpoint != "" {
		if err := checkEndpoint(endpoint); err != nil {
			return err
		}
		p.endpoint = strings.TrimSuffix(endpoint, "/")
	}
	p.region, p.profile = query.Get("region"), query.Get("profile")
	if p.region != "" && !regionName.MatchString(p.region) {
		return fmt.Errorf("%q is not a region", p.region)
	}
	p.pathStyle = p.endpoint != ""
	if style := query.Get("path-style"); style != "" && style != "auto" {
		forced, err := strconv.ParseBool(style)
		if err != nil {
			return fmt.Errorf("path-style of the object store's URL is true, false or auto, not %q", style)
		}
		p.pathStyle = forced
	}
	p.encryption, p.kmsKey = query.Get("encryption"), query.Get("kms-key")
	if p.encryption != "" && p.encryption != "AES256" && p.encryption != "aws:kms" {
		return fmt.Errorf("encryption of the object store's URL is AES256 or aws:kms, not %q", p.encryption)
	}
	if p.kmsKey != "" && p.encryption != "aws:kms" {
		return errors.New("kms-key of the object store's URL needs encryption=aws:kms")
	}
	return nil
}

func checkEndpoint(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("the endpoint of the object store is a URL such as https://s3.example.com:9000")
	case u.User != nil:
		return errors.New("the endpoint of the object store holds credentials: take them out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or use a file or the machine's role")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("the endpoint of the object store is scheme, host and port, and nothing more: the bucket is named by s3://bucket")
	}
	return nil
}
