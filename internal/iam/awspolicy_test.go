package iam

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/policy"
)

// The managed policies of AWS can be read by IAM's rules, come in the order of lists, and have unique ids.
func TestPoliciesOfAWS(t *testing.T) {
	if !slices.IsSortedFunc(awsManaged, func(a, b awsPolicy) int { return strings.Compare(a.path+"\x00"+a.name, b.path+"\x00"+b.name) }) {
		t.Error("they are not sorted by path and name")
	}
	seen := map[string]bool{}
	for _, p := range awsManaged {
		if _, err := policy.Parse(policy.KindManaged, []byte(p.document), policy.Options{}); err != nil {
			t.Errorf("%s: %v: %s", p.name, err, p.document)
		}
		if err := policy.CheckManagedSize([]byte(p.document)); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		id := p.policy().ID
		if !regexp.MustCompile(`^ANPA[A-Z2-7]{17}$`).MatchString(id) || seen[id] || p.description == "" || p.policy().ARN() != p.arn() {
			t.Errorf("%s: %+v", p.name, p.policy())
		}
		seen[id] = true
	}
}

// What those of ECR allow, to the action.
func TestPoliciesOfECR(t *testing.T) {
	read := []string{"ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:GetRepositoryPolicy", "ecr:DescribeRepositories",
		"ecr:ListImages", "ecr:DescribeImages", "ecr:BatchGetImage", "ecr:GetLifecyclePolicy", "ecr:GetLifecyclePolicyPreview", "ecr:ListTagsForResource", "ecr:DescribeImageScanFindings"}
	for name, want := range map[string][]string{
		"AmazonEC2ContainerRegistryReadOnly":  read,
		"AmazonEC2ContainerRegistryPowerUser": append(slices.Clone(read), "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"),
		"AmazonEC2ContainerRegistryPullOnly":  {"ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchImportUpstreamImage"},
	} {
		var document struct {
			Version   string
			Statement []struct {
				Effect, Resource string
				Action           []string
			}
		}
		if err := json.Unmarshal([]byte(awsByARN[awsPolicies+name].document), &document); err != nil {
			t.Fatal(err)
		}
		if len(document.Statement) != 1 || document.Version != "2012-10-17" || document.Statement[0].Effect != "Allow" || document.Statement[0].Resource != "*" {
			t.Errorf("%s: %+v", name, document)
			continue
		}
		if diff := cmp.Diff(want, document.Statement[0].Action); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
	const full = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ecr:*","cloudtrail:LookupEvents"],"Resource":"*"},` +
		`{"Effect":"Allow","Action":["iam:CreateServiceLinkedRole"],"Resource":"*","Condition":{"StringEquals":{"iam:AWSServiceName":["replication.ecr.amazonaws.com"]}}}]}`
	if got := awsByARN[awsPolicies+"AmazonEC2ContainerRegistryFullAccess"].document; got != full {
		t.Errorf("full access: %s", got)
	}
}

// Nothing that only looks may let its holder change anything.
func TestReadOnlyPoliciesChangeNothing(t *testing.T) {
	resource := policy.Repository("us-east-1", "123456789012", "app")
	for _, p := range awsManaged {
		if !strings.Contains(p.name, "ReadOnly") && p.name != "SecurityAudit" && !strings.Contains(p.name, "PullOnly") {
			continue
		}
		compiled, err := policy.Parse(policy.KindManaged, []byte(p.document), policy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, action := range []string{"ecr:PutImage", "ecr:BatchDeleteImage", "ecr:DeleteRepository", "ecr:SetRepositoryPolicy", "ecr:CreateRepository", "ecr:TagResource",
			"iam:CreateUser", "iam:PutUserPolicy", "iam:CreateAccessKey", "iam:PassRole", "iam:ChangePassword", "sts:AssumeRole", "kms:Decrypt", "kms:PutKeyPolicy",
			"organizations:AttachPolicy", "cloudtrail:StopLogging", "secretsmanager:GetSecretValue"} {
			decision := policy.Evaluate(policy.Request{
				Principal: policy.Principal{ARN: "arn:aws:iam::123456789012:user/ann", Account: "123456789012", ID: "AIDAEXAMPLE"},
				Questions: policy.Ask([]string{action}, resource),
			}, policy.PolicySet{Identity: []*policy.Policy{compiled}})
			if decision.Allowed {
				t.Errorf("%s allows %s", p.name, action)
			}
		}
	}
}
