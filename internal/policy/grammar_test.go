package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// allow makes an identity policy of one statement that allows s3:ListBucket on everything but for the elements given.
func allow(elements string) string {
	s := `"Effect":"Allow"`
	for _, e := range []struct{ name, text string }{{`Action"`, `"Action":"s3:ListBucket"`}, {`Resource"`, `"Resource":"*"`}} {
		if !strings.Contains(elements, e.name) {
			s += "," + e.text
		}
	}
	return statements(`{` + s + `,` + elements + `}`)
}

func statements(list ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(list, ",") + `]}`
}

const (
	iamPath = `IAM resource path must either be "*" or start with user/, federated-user/, role/, group/, instance-profile/, mfa/, ` +
		`server-certificate/, policy/, sms-mfa/, saml-provider/, oidc-provider/, report/, access-report/.`
	eachECR      = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'"
	eachRegistry = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid registry policy provided'"
)

// Every sentence of MalformedPolicyDocument, with the documents that cause it.
func TestMalformed(t *testing.T) {
	const good = `{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}`
	tests := []struct {
		kind     Kind
		document string
		message  string
	}{
		{KindManaged, `not JSON`, textSyntax},
		{KindManaged, ``, textSyntax},
		{KindManaged, `null`, textSyntax},
		{KindManaged, `[` + good + `]`, textSyntax},
		{KindManaged, `{"Version":"2012-10-17"}`, textSyntax},
		{KindManaged, `{"Version":"2012-10-17","Statement":[]}`, textSyntax},
		{KindManaged, `{"Version":"2012-10-17","Statement":"Allow"}`, textSyntax},
		{KindManaged, `{"Version":"2012-10-17","Statement":["Allow"]}`, textSyntax},
		{KindManaged, `{"Version":2012,"Statement":` + good + `}`, textSyntax},
		{KindManaged, `{"Version":"","Statement":` + good + `}`, textSyntax},
		{KindManaged, `{"Version":"2013-10-17","Statement":` + good + `}`, textSyntax},
		{KindManaged, `{"Version":"2012-10-17","Id":{},"Statement":` + good + `}`, textSyntax},
		{KindManaged, `{"Version":"2012-10-17","Statement":` + good + `,"Conditions":{}}`, textSyntax},
		{KindManaged, `{"Version":"2012-10-17","Statement":` + good + `,"statement":` + good + `}`, textSyntax},
		{KindManaged, `{"Version":"2012-10-17","Version":"2012-10-17","Statement":` + good + `}`, textSyntax},
		{KindManaged, statements(`{"Effect":"Allow","Action":"a:b","Action":"a:b","Resource":"*"}`), textSyntax},
		{KindManaged, statements(`{"Effect":"allow","Action":"a:b","Resource":"*"}`), textSyntax},
		{KindManaged, statements(`{"Effect":["Allow"],"Action":"a:b","Resource":"*"}`), textSyntax},
		{KindManaged, statements(`{"Action":"a:b","Resource":"*"}`), textSyntax},
		{KindManaged, allow(`"Extra":1`), textSyntax},
		{KindManaged, allow(`"Sid":{}`), textSyntax},
		{KindManaged, allow(`"Action":{}`), textSyntax},
		{KindManaged, allow(`"Action":[[]]`), textSyntax},
		{KindManaged, allow(`"Action":"s3:"`), textSyntax},
		{KindManaged, allow(`"Action":"a:b","NotAction":[]`), textSyntax},
		{KindManaged, allow(`"Resource":"*","NotResource":[]`), textSyntax},
		{KindManaged, allow(`"Resource":["a",{}]`), textSyntax},
		{KindManaged, allow(`"Resource":"arn:aws:s3:::${aws:username"`), textSyntax},
		{KindManaged, allow(`"Resource":"arn:aws:sqs:${aws:RequestedRegion}:123456789012:a"`), textSyntax},
		{KindManaged, allow(`"Condition":[]`), textSyntax},
		{KindManaged, allow(`"Condition":{"StringEquals":"a"}`), textSyntax},
		{KindManaged, allow(`"Condition":{"StringEquals":{"a:b":{}}}`), textSyntax},
		{KindManaged, allow(`"Condition":{"StringEquals":{"a:b":null}}`), textSyntax},
		{KindManaged, allow(`"Condition":{"StringEquals":{"a:b":[["c"]]}}`), textSyntax},
		{KindManaged, allow(`"Condition":{"StringEquals":{"a:b":"${}"}}`), textSyntax},
		{KindManaged, allow(`"Condition":{"x":{"a:b":"c"}}`), textSyntax},
		{KindManaged, allow(`"Condition":{"stringequals":{"a:b":"c"}}`), textSyntax},
		{KindManaged, allow(`"Condition":{"ForAnyValue::StringEquals":{"a:b":"c"}}`), textSyntax},
		{KindManaged, allow(`"Condition":{"NullIfExists":{"a:b":"true"}}`), textSyntax},
		{KindManaged, allow(`"Condition":{"ForAllValues:Null":{"a:b":"true"}}`), textSyntax},
		{KindManaged, allow(`"Sid":"日"`), textSyntax},
		{KindManaged, allow(`"Condition":{"StringEquals":{"a:b":["` + strings.Repeat("x", MaxDocument) + `"]}}`), textSyntax},
		{KindManaged, strings.Repeat(`{"Statement":[`, 100_000), textSyntax},

		{KindManaged, allow(`"Condition":{"StringLike":{"a:b":[` + strings.Repeat(`"*a?b*",`, maxSlowPatterns) + `"*?*"]}}`), textSyntax},
		{KindManaged, statements(`{"Effect":"Allow","Action":"s3:*a?*","Resource":[` + strings.Repeat(`"arn:aws:s3:::*a?b*",`, maxSlowPatterns-1) + `"arn:aws:s3:::*?*"]}`), textSyntax},

		{KindTrust, `not JSON`, textNotJSON},
		{KindTrust, `{"Version":"2012-10-17"}`, textSyntax},
		{KindTrust, `{"Version":"2012-10-17","Statement":`, textNotJSON},
		{KindTrust, strings.Repeat(`{"Statement":[`, 100_000), textSyntax}, // too long to be looked at
		{KindTrust, strings.Repeat(`{"Statement":[`, 9_000), textNotJSON},
		{KindTrust, strings.Repeat(`[`, 4) + strings.Repeat(`]`, 4), textSyntax},
		{KindTrust, strings.Repeat(`[`, maxDepth+1) + strings.Repeat(`]`, maxDepth+1), textSyntax},
		{KindTrust, trusting(`"Principal":"*","Principal":"*","Action":"sts:AssumeRole"`), textSyntax},
		{KindTrust, trusting(`"Principal":"*","Action":"sts:AssumeRole","Action2":1`), textSyntax},
		{KindTrust, trusting(`"Principal":{"AWS":["` + strings.Repeat("*\",\"", MaxDocument/4) + `*"]},"Action":"sts:AssumeRole"`), textSyntax},
		{KindTrust, statements(strings.Repeat("{},", MaxDocument/3) + "{}"), textSyntax},
		{KindManaged, strings.Repeat(`[`, 9_000) + strings.Repeat(`]`, 9_000), textSyntax},
		{KindRepository, strings.Repeat(`[`, 9_000) + strings.Repeat(`]`, 9_000), eachECR},
		{KindRegistry, allow(`"Condition":{"StringEquals":{"a:b":["` + strings.Repeat("x", MaxDocument) + `"]}}`), eachRegistry},

		{KindManaged, `{"Statement":` + good + `}`, textVersion},
		{KindManaged, `{"Version":"2008-10-17","Statement":` + good + `}`, textVersion},
		{KindIdentity, `{"Statement":{"Effect":"Allow","Action":"a:b","Resource":"arn:aws:s3:::${aws:username}"}}`, textVersion},
		{KindIdentity, `{"Statement":{"Effect":"Allow","Action":"a:b","Resource":"*","Condition":{"StringEquals":{"a:b":"${aws:username}"}}}}`, textVersion},

		{KindManaged, allow(`"Condition":{"DateGreaterThan":{"a:b":"yesterday"}}`), textLegacy},
		{KindManaged, allow(`"Condition":{"DateLessThanEquals":{"a:b":"2016-13"}}`), textLegacy},
		{KindManaged, allow(`"Condition":{"DateLessThan":{"a:b":"2016-12-13T02:00:00.593194+1"}}`), textLegacy},
		{KindManaged, allow(`"Condition":{"DateLessThan":{"a:b":"2016-12-13T02:00:00.1999999999+10:59"}}`), textLegacy},
		{KindManaged, allow(`"Condition":{"DateLessThan":{"a:b":"9223372036854775808"}}`), textLegacy},
		{KindManaged, allow(`"Resource":"arn:aws:s3::bucket"`), textLegacy},
		{KindManaged, allow(`"Resource":"arn:aws::::bucket"`), textLegacy},
		{KindManaged, allow(`"NotResource":"arn:aws:s3::bucket"`), textLegacy},

		{KindManaged, statements(`{"Sid":"a","Effect":"Allow","Action":"a:b","Resource":"*"}`, `{"Sid":"a","Effect":"Allow"}`), textSidUnique},
		{KindManaged, allow(`"Sid":"a b"`), textSidCharacters},
		{KindIdentity, allow(`"Sid":"a_b"`), textSidCharacters},
		{KindSession, allow(`"Sid":"a-b"`), textSidCharacters},
		{KindTrust, trusting(`"Sid":"a b","Principal":"*","Action":"sts:AssumeRole"`), textSidCharacters},
		{KindSCP, allow(`"Sid":"a b"`), textOrganization},
		{KindRCP, statements(`{"Sid":"a b","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}`), textOrganization},
		{KindRCP, `{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}}`, textOrganization},

		{KindManaged, statements(`{"Effect":"Allow","Resource":"*"}`), textNoAction},
		{KindManaged, statements(`{"Effect":"Deny"}`, good), textNoAction},
		{KindManaged, allow(`"Action":[]`), textNoAction},
		{KindManaged, allow(`"NotAction":[]`), textNoAction},
		{KindManaged, statements(`{"Effect":"Allow","Action":"a:b"}`), textNoResource},
		{KindManaged, allow(`"Resource":[]`), textNoResource},
		{KindManaged, allow(`"NotResource":[]`), textNoResource},

		{KindIdentity, allow(`"Principal":"*"`), textPrincipal},
		{KindManaged, allow(`"NotPrincipal":{"AWS":"*"}`), textPrincipal},
		{KindSession, allow(`"Principal":{"AWS":"123456789012"}`), textPrincipal},

		{KindManaged, allow(`"Action":"ListBucket"`), textNoVendor},
		{KindManaged, allow(`"NotAction":""`), textNoVendor},
		{KindManaged, statements(`{"Effect":"Allow","Action":"ListBucket"}`), textNoVendor},
		{KindManaged, allow(`"Action":"s3:List:Bucket"`), textTwoColons},
		{KindManaged, allow(`"Action":["s3:ListBucket","ecr:GetX, ecr:PutY"]`), textTwoColons},
		{KindManaged, allow(`"Action":"a a:ListBucket"`), "Vendor a a is not valid"},
		{KindManaged, allow(`"Action":"s*:ListBucket"`), "Vendor s* is not valid"},

		{KindManaged, allow(`"Resource":"bucket"`), `Resource bucket must be in ARN format or "*".`},
		{KindManaged, allow(`"Resource":""`), `Resource  must be in ARN format or "*".`},
		{KindManaged, allow(`"Resource":"**"`), `Resource ** must be in ARN format or "*".`},
		{KindManaged, allow(`"Resource":"urn:aws:s3:::bucket"`), `Resource urn:aws:s3:::bucket must be in ARN format or "*".`},
		{KindManaged, allow(`"Resource":"a:bee"`), `Partition "bee" is not valid for resource "arn:bee:*:*:*:*".`},
		{KindManaged, allow(`"Resource":"a:b:cee"`), `Partition "b" is not valid for resource "arn:b:cee:*:*:*".`},
		{KindManaged, allow(`"Resource":"a:b:c:d:e:f:g:h"`), `Partition "b" is not valid for resource "arn:b:c:d:e:f:g:h".`},
		{KindManaged, allow(`"Resource":"aws:s3:::bucket"`), `Partition "s3" is not valid for resource "arn:s3:::bucket:*".`},
		{KindManaged, allow(`"Resource":"arn:*:s3:::bucket"`), `Partition "*" is not valid for resource "arn:*:s3:::bucket".`},
		{KindManaged, allow(`"Resource":"arn:aws"`), textService},
		{KindManaged, allow(`"Resource":"arn:aws:s*:::bucket"`), textService},
		{KindSession, allow(`"Resource":"arn:aws:sqs"`), textService},
		{KindManaged, allow(`"Resource":"arn:aws:iam:us-east-1::user/a"`), `IAM resource arn:aws:iam:us-east-1::user/a cannot contain region information.`},
		{KindManaged, allow(`"Resource":"arn:aws:s3:us-east-1::bucket"`), `Resource arn:aws:s3:us-east-1::bucket can not contain region information.`},
		{KindManaged, allow(`"Resource":"arn:aws:iam:::bucket"`), iamPath},

		{KindTrust, trusting(`"Principal":"*","Action":"sts:AssumeRole","Resource":"*"`), "Has prohibited field Resource."},
		{KindTrust, trusting(`"Principal":"*","Action":"sts:AssumeRole","NotResource":"*"`), "Has prohibited field NotResource."},
		{KindTrust, trusting(`"NotPrincipal":"*","Action":"sts:AssumeRole"`), "Has prohibited field NotPrincipal."},
		{KindTrust, trusting(`"Action":"sts:AssumeRole"`), textNoPrincipal},
		{KindTrust, trusting(`"Principal":"*","Action":"ecr:PutImage"`), textAssumeRole},
		{KindTrust, trusting(`"Principal":"*","Action":"sts:*"`), textAssumeRole},
		{KindTrust, trusting(`"Principal":"*","NotAction":"sts:AssumeRole"`), textAssumeRole},
		{KindTrust, trusting(`"Principal":{},"Action":"sts:AssumeRole"`), textSyntax},
		{KindTrust, trusting(`"Principal":{"AWS":[]},"Action":"sts:AssumeRole"`), textSyntax},
		{KindTrust, trusting(`"Principal":"123456789012","Action":"sts:AssumeRole"`), textSyntax},
		{KindTrust, trusting(`"Principal":{"Group":"x"},"Action":"sts:AssumeRole"`), textSyntax},
		{KindTrust, trusting(`"Principal":"*","NotPrincipal":"*","Action":"sts:AssumeRole"`), textSyntax},
		{KindTrust, trusting(`"Principal":{"AWS":"arn:aws:iam::123456789012:group/g"},"Action":"sts:AssumeRole"`), `Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:group/g"`},
		{KindTrust, trusting(`"Principal":{"Service":"*"},"Action":"sts:AssumeRole"`), `Invalid principal in policy: "SERVICE":"*"`},
		{KindTrust, trusting(`"Principal":{"Federated":"example.com"},"Action":"sts:AssumeRoleWithWebIdentity"`), `Invalid principal in policy: "Federated":"example.com"`},
		{KindTrust, trusting(`"Principal":{"CanonicalUser":"79a5"},"Action":"sts:AssumeRole"`), `Invalid principal in policy: "CANONICALUSER":"79a5"`},

		{KindTrust, trusting(`"Principal":{"AWS":["123456789012","nobody"]},"Action":"sts:AssumeRole"`), `Invalid principal in policy: "AWS":"nobody"`},

		{KindResource, statements(`{"Effect":"Allow","NotPrincipal":{"AWS":"123456789012"},"Action":"a:b","Resource":"*"}`), textSyntax},
		{KindResource, trusting(`"Principal":{"Federated":"arn:aws:iam::123456789012:oidc-provider/a"},"Action":"a:b","Resource":"*"`), `Invalid principal in policy: "Federated":"arn:aws:iam::123456789012:oidc-provider/a"`},

		{KindRepository, `not JSON`, eachECR},
		{KindRepository, trusting(`"Action":"ecr:PutImage"`), eachECR},
		{KindRepository, trusting(`"Principal":"*","Action":"s3:GetObject"`), eachECR},
		{KindRepository, trusting(`"Principal":"*","Action":"ecr:GetAuthorizationToken"`), eachECR},
		{KindRepository, trusting(`"Principal":"*","Action":"ecr:DescribeRegistry"`), eachECR},
		{KindRepository, trusting(`"Principal":"*","Action":"ecr:*","Resource":"arn:aws:ecr:us-east-1:123456789012:repository/other"`), eachECR},
		{KindRepository, trusting(`"Principal":"*","Action":"ecr:*","NotResource":"*"`), eachECR},
		{KindRepository, trusting(`"Principal":"*","Action":"ecr:*","Resource":[]`), eachECR},
		{KindRegistry, trusting(`"Principal":"*","Action":"ecr:*"`), eachRegistry},
		{KindRegistry, trusting(`"Principal":"*","Action":"ecr:*","Resource":"arn:aws:sqs:us-east-1:123456789012:repository/a"`), eachRegistry},
		{KindRegistry, trusting(`"Principal":"*","Action":"ecr:*","Resource":"arn:aws:ecr:us-east-1:123456789012:other/a"`), eachRegistry},
		{KindRegistry, trusting(`"Principal":"*","Action":"ecr:*","Resource":"arn:aws:ecr:us-east-1:999999999999:repository/*"`), eachRegistry},
		{KindRegistry, trusting(`"Principal":"*","Action":"ecr:*","Resource":"arn:aws:s3:::bucket"`), eachRegistry},
		{KindRegistry, trusting(`"Principal":"*","Action":"iam:PassRole","Resource":"*"`), eachRegistry},

		{KindKey, trusting(`"Action":"kms:*","Resource":"*"`), textKeyPrincipals},
		{KindKey, trusting(`"Principal":{"AWS":"nobody"},"Action":"kms:*","Resource":"*"`), textKeyPrincipals},
		{KindKey, trusting(`"Principal":"*","Action":"s3:*","Resource":"*"`), textKeyActions},
		{KindKey, trusting(`"Principal":"*","Action":"Decrypt","Resource":"*"`), textKeyActions},
		{KindKey, trusting(`"Principal":"*","Action":"kms:*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"kms:EncryptionContext:aws:ecr:arn":"a"}}`), textKeyPermissive},

		{KindSCP, allow(`"Principal":"*"`), textOrganization},
		{KindSCP, `{"Statement":` + good + `}`, textOrganization},
		{KindRCP, statements(`{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}`), textOrganization},
		{KindRCP, statements(`{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}`), textOrganization},
		{KindRCP, statements(`{"Effect":"Deny","Principal":"*","NotAction":"s3:*","Resource":"*"}`), textOrganization},
		{KindRCP, statements(`{"Effect":"Deny","NotPrincipal":"*","Action":"s3:*","Resource":"*"}`), textOrganization},
		{KindRCP, statements(`{"Effect":"Deny","Principal":{"AWS":"123456789012"},"Action":"s3:*","Resource":"*"}`), textOrganization},

		{KindEndpoint, allow(`"Sid":"a"`), textNoPrincipal},
		{KindEndpoint, endpoint(`"Condition":{"StringLike":{"aws:PrincipalAccount":"12345678901*"}}`), textSyntax},
		{KindEndpoint, endpoint(`"Condition":{"NumericEquals":{"aws:PrincipalAccount":"123456789012"}}`), textSyntax},
		{KindEndpoint, endpoint(`"Condition":{"StringLike":{"aws:username":"abcde*"}}`), textSyntax},
		{KindEndpoint, endpoint(`"Condition":{"StringLike":{"aws:username":"abcdef*xyz*"}}`), textSyntax},
		{KindEndpoint, endpoint(`"Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::1234*:role/a"}}`), textSyntax},
		{KindEndpoint, endpoint(`"Resource":"arn:aws:ecr:us-east-1:1234*:repository/a"`), textSyntax},
	}
	for _, test := range tests {
		p, err := Parse(test.kind, []byte(test.document), Options{Resource: "arn:aws:ecr:us-east-1:123456789012:repository/mine", RegistryV1: false})
		var malformed *MalformedError
		if !errors.As(err, &malformed) || p != nil {
			t.Errorf("%s %.200s: got %v, %v", test.kind, test.document, p, err)
			continue
		}
		if malformed.Message != test.message {
			t.Errorf("%s %.200s:\n got %s\nwant %s", test.kind, test.document, err, test.message)
		}
		if malformed.Detail == "" {
			t.Errorf("%s %.200s: there is no detail", test.kind, test.document)
		}
	}
}

func trusting(elements string) string { return statements(`{"Effect":"Allow",` + elements + `}`) }

func endpoint(elements string) string {
	s := `{"Effect":"Allow","Principal":"*","Action":"*",`
	if !strings.Contains(elements, `Resource"`) {
		s += `"Resource":"*",`
	}
	return statements(s + elements + `}`)
}

func TestWellFormed(t *testing.T) {
	const own = "arn:aws:ecr:us-east-1:123456789012:repository/mine"
	tests := []struct {
		kind     Kind
		document string
	}{
		{KindIdentity, `{"Statement":{"Effect":"Allow","Action":"s3:ListBucket","Resource":"*"}}`},
		{KindIdentity, ` { "Statement" : [ { "Resource" : [ "*" ] , "Action" : [ "a:b" ] , "Effect" : "Deny" } ] , "Version" : "2008-10-17" } `},
		{KindManaged, `{"Version":"2012-10-17","Id":"cd3a324d","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`},
		{KindManaged, allow(`"Action":"iam: what ever "`)},
		{KindManaged, allow(`"Sid":""`)},
		{KindManaged, allow(`"Sid":"azAZ09"`)},
		{KindIdentity, allow(`"Resource":"arn:aws:sqs"`)},
		{KindSCP, allow(`"Resource":"arn:aws:sqs"`)},
		{KindRegistry, statements(`{"Effect":"Deny","NotPrincipal":"*","Action":"ecr:*","Resource":"*"}`)},
		{KindKey, statements(`{"Effect":"Deny","NotPrincipal":"*","Action":"kms:*","Resource":"*"}`)},
		{KindKey, trusting(`"Principal":"*","Action":"kms:*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":"a"},"StringEquals":{"kms:EncryptionContext:a":"b"}}`)},
		{KindEndpoint, statements(`{"Effect":"Deny","NotPrincipal":"*","Action":"ecr:*","Resource":"*"}`)},
		{KindEndpoint, endpoint(`"Condition":{"NumericLessThan":{"aws:MultiFactorAuthAge":"60"},"StringEquals":{"aws:PrincipalAccount":"123456789012"}}`)},
		{KindManaged, statements(`{"Sid":"","Effect":"Allow","Action":"a:b","Resource":"*"}`, `{"Sid":"","Effect":"Allow","Action":"a:b","Resource":"*"}`)},
		{KindManaged, allow(`"Resource":["arn:aws:sqs","arn:aws-cn:sqs:cn-north-1","arn:aws:s3:::a","arn:aws:iam::123456789012:user/a","arn:aws:iam::*:*"]`)},
		{KindManaged, allow(`"NotResource":"arn:aws:ecr:*:*:repository/${aws:PrincipalTag/team, 'none'}/${*}"`)},
		{KindManaged, allow(`"Condition":{}`)},
		{KindManaged, allow(`"Condition":{"StringLike":{"a:b":[` + strings.Repeat(`"*a?b*",`, maxSlowPatterns) + strings.Repeat(`"a?*","*a?",`, 900) + `"a*b"]}}`)},
		{KindManaged, allow(`"Condition":{"DateGreaterThan":{}}`)},
		{KindManaged, allow(`"Condition":{"DateGreaterThan":{"a:b":[]}}`)},
		{KindManaged, allow(`"Condition":{"Bool":{"aws:SecureTransport":true},"NumericLessThan":{"a:b":[3600,"7200"]}}`)},
		{KindManaged, allow(`"Condition":{"ForAnyValue:StringLikeIfExists":{"a:b":"c*"},"Null":{"a:b":false}}`)},
		{KindManaged, allow(`"Condition":{"DateEquals":{"a:b":["2026","2026-02","2026-02-03","2026-02-03T4:05Z","2026-02-03t04:05:06.789+01:00","1700000000"]}}`)},
		{KindManaged, allow(`"Condition":{"StringEquals":{"a:b":"naïveÿ"}}`)},
		{KindSession, allow(`"Resource":"arn:aws:sqs:us-east-1:123456789012:q"`)},
		{KindTrust, trusting(`"Principal":{"AWS":["123456789012","arn:aws:iam::123456789012:root","arn:aws:iam::123456789012:role/a/b","arn:aws:sts::123456789012:assumed-role/a/s","arn:aws:sts::123456789012:federated-user/f","AROAIIAAAAAAAAAAAAAAA","*"]},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]`)},
		{KindTrust, trusting(`"Principal":{"Service":["ecr.amazonaws.com","ec2.amazonaws.com.cn"],"Federated":["arn:aws:iam::123456789012:saml-provider/s","accounts.google.com"]},"Action":"sts:AssumeRole*","Condition":{"StringEquals":{"accounts.google.com:aud":"1"}}`)},
		{KindResource, trusting(`"Principal":"*","Action":"a:b","Resource":"*"`)},
		{KindRepository, `{"Statement":{"Sid":"new one","Effect":"Allow","Principal":"*","Action":["ecr:*","ecr:Get*"]}}`},
		{KindRepository, trusting(`"Sid":"a","Principal":"*","Action":"*","Resource":"` + own + `"`)},
		{KindRepository, statements(`{"Sid":"a","Effect":"Deny","NotPrincipal":{"AWS":"123456789012"},"NotAction":"ecr:GetAuthorizationToken","Resource":"*"}`, `{"Sid":"a","Effect":"Allow","Principal":"*","Action":"ecr:PutImage"}`)},
		{KindRegistry, trusting(`"Principal":{"AWS":"123456789012"},"Action":"ecr:ReplicateImage","Resource":["arn:aws:ecr:us-east-1:123456789012:repository/*","arn:aws:ecr:*:*:repository/a"]`)},
		{KindKey, trusting(`"Sid":"Enable IAM User Permissions","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"kms:*","Resource":"*"`)},
		{KindSCP, allow(`"Condition":{"StringEquals":{"aws:RequestedRegion":"eu-central-1"}}`)},
		{KindRCP, statements(`{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"ecr:*","NotResource":"arn:aws:ecr:us-east-1:*:repository/a"}`)},
		{KindEndpoint, `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`},
		{KindEndpoint, endpoint(`"Condition":{"StringLike":{"aws:username":"abcdef*xyzabc?"},"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/*"}}`)},
	}
	for _, test := range tests {
		p, err := Parse(test.kind, []byte(test.document), Options{Name: "n", Resource: own})
		if err != nil {
			t.Errorf("%s %s: %v", test.kind, test.document, err)
			continue
		}
		if p.Name() != "n" || p.Kind() != test.kind {
			t.Errorf("it is %s of %s", p.Name(), p.Kind())
		}
		if len(p.Warnings()) > 0 {
			t.Errorf("%s %s: %q", test.kind, test.document, p.Warnings())
		}
	}
}

func TestRegistryScopeV1(t *testing.T) {
	for action, ok := range map[string]bool{
		"ecr:ReplicateImage": true, "ecr:batchimportupstreamimage": true, "ecr:CreateRepository": true,
		"ecr:BatchGetImage": false, "ecr:*": false, "*": false,
	} {
		document := trusting(`"Principal":"*","Action":"` + action + `","Resource":"*"`)
		if _, err := Parse(KindRegistry, []byte(document), Options{RegistryV1: true}); (err == nil) != ok {
			t.Errorf("%s: %v", action, err)
		}
	}
}

func TestUnknownPrincipalIsMalformed(t *testing.T) {
	const id = "AIDAAAAAAAAAAAAAAAAAA"
	resolve := func(principal string) (string, bool) {
		return id, strings.HasSuffix(principal, "/known") || principal == id
	}
	for principal, message := range map[string]string{
		"arn:aws:iam::123456789012:user/known": "",
		"arn:aws:iam::123456789012:user/gone":  `Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:user/gone"`,
		"arn:aws:iam::123456789012:role/gone":  `Invalid principal in policy: "AWS":"arn:aws:iam::123456789012:role/gone"`,
		"arn:aws:iam::123456789012:root":       "", // accounts have no other id
		id:                                     "",
		"AROAGONEGONEGONEGONE1":                `Invalid principal in policy: "AWS":"AROAGONEGONEGONEGONE1"`,
	} {
		document := trusting(`"Principal":{"AWS":"` + principal + `"},"Action":"sts:AssumeRole"`)
		_, err := Parse(KindTrust, []byte(document), Options{Resolve: resolve})
		var malformed *MalformedError
		if errors.As(err, &malformed); malformed == nil && message != "" || malformed != nil && malformed.Message != message {
			t.Errorf("%s: %v", principal, err)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, test := range []struct {
		kind     Kind
		document string
		want     string
	}{
		{KindManaged, allow(`"Condition":{"Bool":{"aws:SecureTransport":"yes"}}`), `no value of aws:securetransport can match "yes"`},
		{KindManaged, allow(`"Condition":{"NumericEquals":{"a:b":"1e3"}}`), `can match "1e3"`},
		{KindManaged, allow(`"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}`), `can match "10.0.0.0/33"`},
		{KindManaged, allow(`"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0"}}`), `can match "10.0.0"`},
		{KindManaged, allow(`"Condition":{"IpAddress":{"aws:SourceIp":"fe80::1%eth0"}}`), `can match "fe80::1%eth0"`},
		{KindManaged, allow(`"Condition":{"BinaryEquals":{"a:b":"?"}}`), `can match "?"`},
		{KindManaged, allow(`"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:s3"}}`), `can match "arn:aws:s3"`},
		{KindManaged, allow(`"Condition":{"Null":{"a:b":"maybe"}}`), `can match "maybe"`},
		{KindManaged, allow(`"Condition":{"StringEquals":{"aws:TagKeys":"a"}}`), "neither ForAllValues nor ForAnyValue"},
	} {
		p, err := Parse(test.kind, []byte(test.document), Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(p.Warnings())
		if test.want == "" && len(p.Warnings()) > 0 || !strings.Contains(got, test.want) {
			t.Errorf("%s: got %s, want %s", test.document, got, test.want)
		}
	}
}

// What was saved before is never refused; at worst it denies everything.
func TestLoadDenies(t *testing.T) {
	request := Request{Principal: Principal{ARN: "arn:aws:iam::123456789012:user/a", Account: "123456789012"},
		Questions: Ask([]string{"ecr:PutImage"}, Repository("us-east-1", "123456789012", "app"))}
	everything := mustParse(t, KindManaged, statements(`{"Effect":"Allow","Action":"*","Resource":"*"}`))
	for _, test := range []struct {
		document string
		broken   bool
		outcome  string
	}{
		{`not JSON`, true, "ExplicitDeny"},
		{`{"Statement":{"Effect":"allow","Action":"*","Resource":"*"}}`, true, "ExplicitDeny"},
		{`{"Statement":{"Effect":"Deny","Action":"s3:*","Resource":"*"}}`, false, "Allow"},
		{`{"Version":"2099-01-01","Statement":{"Effect":"Deny","Action":"ecr:*","Resource":"arn:aws:s3:::a","Condition":{"Null":{"a:b":"false"}}}}`, false, "ExplicitDeny"},
		{`{"Version":"2099-01-01","Statement":{"Effect":"Allow","Action":"ecr:*","Resource":"*"}}`, false, "Allow"},
		{`{"Statement":{"Effect":"Deny","Action":"ecr:*","Resource":"not-an-arn"}}`, false, "ExplicitDeny"},
		{`{"Statement":{"Effect":"Deny","Action":"ecr:*"}}`, false, "ExplicitDeny"},
		{`{"Statement":{"Effect":"Allow","Action":"ecr:*"}}`, false, "Allow"},
		{`{"Statement":{"Effect":"Allow","Principal":"*","Action":"ecr:*","Resource":"*"}}`, false, "Allow"},
		{`{"Statement":{"Effect":"Allow","NotPrincipal":"*","Action":"ecr:*","Resource":"*"}}`, false, "Allow"},
		{`{"Statement":{"Effect":"Deny","Resource":"*"}}`, false, "ExplicitDeny"},
		{`{"Statement":{"Effect":"Deny","Principal":"*","Action":"ecr:*","Resource":"*"}}`, false, "ExplicitDeny"},
		{`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"ecr:*","Resource":"arn:aws:ecr:${aws:RequestedRegion}:1:a"}}`, false, "ExplicitDeny"},
		{`{"Statement":{"Effect":"Deny","Action":"ecr:*","Resource":"*","Condition":{"Regex":{"a:b":"c"}}}}`, false, "ExplicitDeny"},
	} {
		p, err := Load(KindIdentity, []byte(test.document), Options{Name: "old"})
		if p == nil || (err != nil) != test.broken {
			t.Errorf("%s: %v, %v", test.document, p, err)
			continue
		}
		d := Evaluate(request, PolicySet{Identity: []*Policy{everything, p}})
		if got := outcome(d); got != test.outcome || d.Explicit && d.Statement.Policy != "old" {
			t.Errorf("%s: got %s by %s, want %s", test.document, got, d.Statement, test.outcome)
		}
		// Alone, none of them allows.
		if d := Evaluate(request, PolicySet{Identity: []*Policy{p}}); d.Allowed {
			t.Errorf("%s allows", test.document)
		}
	}
}

// What a resource's old policy says of principals that can't be understood denies, and does not allow.
func TestLoadUnknownPrincipals(t *testing.T) {
	repository := Repository("us-east-1", "123456789012", "app")
	strange := Principal{ARN: "arn:aws-new:iam::123456789012:user/a", Account: "123456789012"}
	everything := []*Policy{mustParse(t, KindManaged, allow(`"Action":"*"`))}
	for _, test := range []struct {
		document string
		identity []*Policy
		outcome  string
	}{
		{trusting(`"Principal":{"AWS":"` + strange.ARN + `"},"Action":"ecr:*"`), nil, "ImplicitDeny"},
		{trusting(`"Principal":{"AWS":["nobody","*"]},"Action":"ecr:*"`), nil, "Allow"},
		{trusting(`"NotPrincipal":{"AWS":"999999999999"},"Action":"ecr:*"`), nil, "ImplicitDeny"},
		{statements(`{"Effect":"Deny","Principal":{"AWS":"` + strange.ARN + `"},"Action":"ecr:*"}`), everything, "ExplicitDeny"},
		{statements(`{"Effect":"Deny","Principal":{"AWS":"nobody"},"Action":"ecr:*"}`), everything, "Allow"},
		{statements(`{"Effect":"Deny","NotPrincipal":{"AWS":["123456789012","` + strange.ARN + `"]},"Action":"ecr:*"}`), everything, "ExplicitDeny"},
		{`{"Version":"2099-01-01","Statement":{"Effect":"Allow","Principal":"*","Action":"ecr:*"}}`, nil, "ImplicitDeny"},
		{`{"Version":"2099-01-01","Statement":{"Effect":"Deny","Principal":{"AWS":"999999999999"},"Action":"ecr:*"}}`, everything, "ExplicitDeny"},
	} {
		p, err := Load(KindRepository, []byte(test.document), Options{})
		if err != nil {
			t.Fatal(err)
		}
		d := Evaluate(Request{Principal: strange, Questions: Ask([]string{"ecr:PutImage"}, repository)},
			PolicySet{Identity: test.identity, Resources: map[Resource]ResourceSet{repository: {Policies: []*Policy{p}}}})
		if got := outcome(d); got != test.outcome {
			t.Errorf("%s: got %s, want %s", test.document, got, test.outcome)
		}
	}
}
