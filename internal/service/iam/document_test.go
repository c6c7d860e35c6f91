package iam_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// statements is a document of statements.
func statements(texts ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(texts, ",") + `]}`
}

// Documents that IAM doesn't take are refused with its sentences, wherever they come in.
func TestRefusedDocuments(t *testing.T) {
	s := coffertest.Start(t)
	const policyARN = "arn:aws:iam::123456789012:policy/p"
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	s.MustQuery("iam", "CreateGroup", in{"GroupName": "devs"})
	s.MustQuery("iam", "CreateRole", in{"RoleName": "ci", "AssumeRolePolicyDocument": trust("123456789012")})
	s.MustQuery("iam", "CreatePolicy", in{"PolicyName": "p", "PolicyDocument": pull})
	ways := map[string]func(document string) (operation string, input in){
		"a user": func(d string) (string, in) {
			return "PutUserPolicy", in{"UserName": "ann", "PolicyName": "p", "PolicyDocument": d}
		},
		"a group": func(d string) (string, in) {
			return "PutGroupPolicy", in{"GroupName": "devs", "PolicyName": "p", "PolicyDocument": d}
		},
		"a role": func(d string) (string, in) {
			return "PutRolePolicy", in{"RoleName": "ci", "PolicyName": "p", "PolicyDocument": d}
		},
		"a policy": func(d string) (string, in) { return "CreatePolicy", in{"PolicyName": "q", "PolicyDocument": d} },
		"a version": func(d string) (string, in) {
			return "CreatePolicyVersion", in{"PolicyArn": policyARN, "PolicyDocument": d, "SetAsDefault": true}
		},
	}
	trusting := map[string]func(document string) (operation string, input in){
		"a new role": func(d string) (string, in) { return "CreateRole", in{"RoleName": "r", "AssumeRolePolicyDocument": d} },
		"a trust policy": func(d string) (string, in) {
			return "UpdateAssumeRolePolicy", in{"RoleName": "ci", "PolicyDocument": d}
		},
	}
	refuse := func(ways map[string]func(string) (string, in), document, want string) {
		t.Helper()
		for way, of := range ways {
			operation, input := of(document)
			r := s.Query("iam", operation, input)
			if r.Status != 400 || r.Code() != "MalformedPolicyDocument" || r.Message() != want {
				t.Errorf("%s of %s: status %d: %s: %s\nwant %s", document, way, r.Status, r.Code(), r.Message(), want)
			}
		}
	}
	allow := func(rest string) string { return statements(`{"Effect":"Allow",` + rest + `}`) }
	for document, want := range map[string]string{
		`{"Version":"2012-10-17"}`:                                                                                                            "Syntax errors in policy.",
		allow(`"Action":"a:b","NotAction":"a:c","Resource":"*"`):                                                                              "Syntax errors in policy.",
		statements(`{"Effect":"allow","Action":"a:b","Resource":"*"}`):                                                                        "Syntax errors in policy.",
		allow(`"Action":"a:b","Resource":"*","Extra":1`):                                                                                      "Syntax errors in policy.",
		allow(`"Action":"a:b","Resource":"*","Condition":{"x":{"a:b":1}}`):                                                                    "Syntax errors in policy.",
		`{"Statement":{"Effect":"Allow","Action":"a:b","Resource":"*","Condition":{"StringEquals":{"a:b":"${aws:username}"}}}}`:               "Policy document must be version 2012-10-17 or greater.",
		allow(`"Action":"a:b","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"yesterday"}}`):                                   "The policy failed legacy parsing",
		statements(`{"Sid":"a","Effect":"Allow","Action":"a:b","Resource":"*"}`, `{"Sid":"a","Effect":"Deny","Action":"a:b","Resource":"*"}`): "Statement IDs (SID) in a single policy must be unique.",
		allow(`"Resource":"*"`):                                            "Policy statement must contain actions.",
		allow(`"Action":"a:b"`):                                            "Policy statement must contain resources.",
		allow(`"Action":"a:b","Resource":"*","Principal":"*"`):             "Policy document should not specify a principal.",
		allow(`"Action":"nothing","Resource":"*"`):                         "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
		allow(`"Action":"a:b:c","Resource":"*"`):                           "Actions/Condition can contain only one colon.",
		allow(`"Action":"a b:c","Resource":"*"`):                           "Vendor a b is not valid",
		allow(`"Action":"a:b","Resource":"bucket"`):                        `Resource bucket must be in ARN format or "*".`,
		allow(`"Action":"a:b","Resource":"arn:bee:ecr:*"`):                 `Partition "bee" is not valid for resource "arn:bee:ecr:*:*:*".`,
		allow(`"Action":"a:b","Resource":"arn:aws:*:us-east-1::x"`):        "Resource vendor must be fully qualified and cannot contain regexes.",
		allow(`"Action":"a:b","Resource":"arn:aws:iam:us-east-1::user/a"`): "IAM resource arn:aws:iam:us-east-1::user/a cannot contain region information.",
		allow(`"Action":"a:b","Resource":"arn:aws:s3:us-east-1::a"`):       "Resource arn:aws:s3:us-east-1::a can not contain region information.",
		allow(`"Action":"a:b","Resource":"arn:aws:iam::123456789012:x"`):   `IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, instance-profile/, mfa/, server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/.`,
	} {
		refuse(ways, document, want)
	}
	for document, want := range map[string]string{
		`{`: "This policy contains invalid Json",
		allow(`"Principal":"*","Action":"sts:AssumeRole","Resource":"*"`):                            "Has prohibited field Resource.",
		allow(`"Principal":"*","Action":"ecr:PutImage"`):                                             "AssumeRole policy may only specify STS AssumeRole actions.",
		allow(`"Principal":{"AWS":"arn:aws:iam::123456789012:role/none"},"Action":"sts:AssumeRole"`): `Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:role/none"`,
		allow(`"Principal":{"Service":"nobody"},"Action":"sts:AssumeRole"`):                          `Invalid principal in policy: "SERVICE":"nobody"`,
		allow(`"Principal":{"Federated":"nobody"},"Action":"sts:AssumeRoleWithWebIdentity"`):         `Invalid principal in policy: "Federated":"nobody"`,
	} {
		refuse(trusting, document, want)
	}
	// None of it came to count.
	run(t, s, []call{
		{"ListUserPolicies", in{"UserName": "ann"}, "member:"},
		{"ListPolicyVersions", in{"PolicyArn": policyARN}, "VersionId: v1"},
		{"GetRole", in{"RoleName": "r"}, "NoSuchEntity: The role with name r cannot be found."},
	})
	if text := shownTrust(t, s, "ci"); text != trust("123456789012") {
		t.Errorf("the trust policy is now %s", text)
	}
}

// Documents are answered to the byte as they were given, encoded as in URLs: a space is %20 there.
func TestDocumentsComeBackAsGiven(t *testing.T) {
	s := coffertest.Start(t)
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	document := "{ \"Version\" : \"2012-10-17\",\r\n\t\"Statement\": [ {\"Effect\":\"Allow\",\"Action\":\"ecr:*\",\"Resource\":\"*\",\"Condition\":{\"StringLike\":{\"aws:UserAgent\":\"a+b ~'()!$&,;=%é\"}}}]}\n"
	s.MustQuery("iam", "PutUserPolicy", in{"UserName": "ann", "PolicyName": "p", "PolicyDocument": document})
	s.MustQuery("iam", "CreatePolicy", in{"PolicyName": "p", "PolicyDocument": document})
	for operation, input := range map[string]in{
		"GetUserPolicy":    {"UserName": "ann", "PolicyName": "p"},
		"GetPolicyVersion": {"PolicyArn": "arn:aws:iam::123456789012:policy/p", "VersionId": "v1"},
	} {
		r := s.MustQuery("iam", operation, input)
		text := r.Text("PolicyDocument") + r.Text("Document")
		got, err := url.PathUnescape(text)
		if err != nil || got != document {
			t.Errorf("%s: %q is %q: %v", operation, text, got, err)
		}
		if strings.ContainsAny(text, " +\"{}'()*!$&,;=é") || strings.Contains(text, "%7E") {
			t.Errorf("%s: it is encoded as %q", operation, text)
		}
	}
}

// GetRole says when a session of the role last did something, and where.
func TestRoleLastUsed(t *testing.T) {
	clock := coffertest.NewClock()
	options := []coffertest.Option{coffertest.Data(t.TempDir() + "/data"), coffertest.Clock(clock.Now)}
	s := coffertest.Start(t, options...)
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	s.MustQuery("iam", "CreateRole", in{"RoleName": "ci", "AssumeRolePolicyDocument": trust(annARN)})
	session := as(s, "ann").MustQuery("sts", "AssumeRole", in{"RoleArn": "arn:aws:iam::123456789012:role/ci", "RoleSessionName": "run1"}).KeyOf()
	// What was used is on disk at the latest when the server stops.
	restart := func() {
		s.Stop()
		s = coffertest.Start(t, options...)
	}
	restart()
	run(t, s, []call{{"GetRole", in{"RoleName": "ci"}, "RoleName: ci\nLastUsedDate:\nRegion:"}}) // being assumed is no use
	s.As(session).ECR("DescribeRepositories", struct{}{})                                        // denied, which counts all the same
	restart()
	run(t, s, []call{
		{"GetRole", in{"RoleName": "ci"}, "LastUsedDate: " + clock.Now().UTC().Format(time.RFC3339) + "\nRegion: us-east-1"},
		{"ListRoles", nil, "RoleName: ci\nLastUsedDate:"},
	})
}
