package arn

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	tests := []struct {
		in   string
		want ARN
	}{
		{"arn:aws:ecr:eu-central-1:123456789012:repository/team/app", ARN{"aws", "ecr", "eu-central-1", "123456789012", "repository/team/app"}},
		{"arn:aws:iam::123456789012:root", ARN{"aws", "iam", "", "123456789012", "root"}},
		{"arn:aws:iam::aws:policy/AdministratorAccess", ARN{"aws", "iam", "", "aws", "policy/AdministratorAccess"}},
		{"arn:aws:s3:::bucket/key", ARN{"aws", "s3", "", "", "bucket/key"}},
		{"arn:aws:logs:us-east-1:123456789012:log-group:a:*", ARN{"aws", "logs", "us-east-1", "123456789012", "log-group:a:*"}},
		{"arn:aws-cn:ecr:*:*:repository/*", ARN{"aws-cn", "ecr", "*", "*", "repository/*"}},
		{"arn:aws:iam::123456789012:user/Zoë", ARN{"aws", "iam", "", "123456789012", "user/Zoë"}},
		{"arn:a:b:::" + strings.Repeat("x", MaxLength-10), ARN{"a", "b", "", "", strings.Repeat("x", MaxLength-10)}},
	}
	for _, test := range tests {
		got, err := Parse(test.in)
		if err != nil {
			t.Errorf("Parse(%q): %v", test.in, err)
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("Parse(%q): (-want +got)\n%s", test.in, diff)
		}
		if got.String() != test.in {
			t.Errorf("%q prints as %q", test.in, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, in := range []string{
		"", "*", "arn", "arn:aws:ecr", "arn:aws:ecr:eu-central-1:123456789012",
		"arn:aws:ecr:eu-central-1:123456789012:",
		"arn::ecr:eu-central-1:123456789012:repository/a",
		"arn:aws::eu-central-1:123456789012:repository/a",
		"ARN:aws:ecr:eu-central-1:123456789012:repository/a",
		" arn:aws:ecr:eu-central-1:123456789012:repository/a",
		"arn:aws:ecr:eu-central-1:123456789012:repository/a\n",
		"arn:aws:ecr:eu-central-1:123456789012:repository/\x00",
		"arn:a:b:::" + strings.Repeat("x", MaxLength-9),
	} {
		if got, err := Parse(in); !errors.Is(err, ErrMalformed) || got != (ARN{}) {
			t.Errorf("Parse(%q) = %v, %v", in, got, err)
		}
	}
}

func TestConstructors(t *testing.T) {
	tests := []struct {
		got  ARN
		want string
	}{
		{ARN{}, ""},
		{Repository("eu-central-1", "123456789012", "team/app"), "arn:aws:ecr:eu-central-1:123456789012:repository/team/app"},
		{Repository("cn-north-1", "123456789012", "a"), "arn:aws-cn:ecr:cn-north-1:123456789012:repository/a"},
		{Repository("us-gov-west-1", "123456789012", "a"), "arn:aws-us-gov:ecr:us-gov-west-1:123456789012:repository/a"},
		{Root("123456789012"), "arn:aws:iam::123456789012:root"},
	}
	for _, test := range tests {
		if got := test.got.String(); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("arn:aws:ecr:eu-central-1:123456789012:repository/team/app")
	f.Add("arn:aws:logs:us-east-1:123456789012:log-group:a:*")
	f.Add("arn:::::")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			return
		}
		if a.String() != s {
			t.Fatalf("%q prints as %q", s, a)
		}
	})
}
