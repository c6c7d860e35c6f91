package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestServices(t *testing.T) {
	for _, test := range []struct {
		name, statements string
		named            []string
		others           bool
		grants, denies   []string // of ecr, iam and sts
	}{
		{"actions", `{"Effect":"Allow","Action":["ecr:GetImage","S3:*"],"Resource":"*"}`, []string{"ecr", "s3"}, false, []string{"ecr"}, nil},
		{"everything", `{"Effect":"Allow","Action":"*","Resource":"*"}`, nil, true, []string{"ecr", "iam", "sts"}, nil},
		{"all but some", `{"Effect":"Allow","NotAction":["iam:*","ecr:PutImage"],"Resource":"*"}`, nil, true, []string{"ecr", "sts"}, nil},
		{"a prefix of the name", `{"Effect":"Allow","Action":"e:*","Resource":"*"}`, []string{"e"}, false, nil, nil},
		{"what is denied", `{"Effect":"Deny","Action":"ecr:*","Resource":"*"}`, nil, false, nil, []string{"ecr"}},
		{"what is denied in part", `[{"Effect":"Deny","Action":"ecr:Get*","Resource":"*"},
			{"Effect":"Deny","Action":"iam:*","Resource":"arn:aws:iam::123456789012:user/ann"},
			{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]`, nil, false, nil, nil},
		{"all but some is denied", `{"Effect":"Deny","NotAction":"iam:ListUsers","Resource":"*"}`, nil, false, nil, []string{"ecr", "sts"}},
		{"what can't apply", `{"Effect":"Allow","Action":"ecr:*","Resource":"*","Condition":{"Nonsense":{"aws:username":"ann"}}}`, []string{"ecr"}, false, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := Load(KindIdentity, []byte(`{"Version":"2012-10-17","Statement":`+test.statements+`}`), Options{})
			if err != nil {
				t.Fatal(err)
			}
			named, others := Services(p)
			var grants, denies []string
			for _, service := range []string{"ecr", "iam", "sts"} {
				if p.GrantsService(service) {
					grants = append(grants, service)
				}
				if p.DeniesService(service) {
					denies = append(denies, service)
				}
			}
			if diff := cmp.Diff([]any{test.named, test.others, test.grants, test.denies}, []any{named, others, grants, denies}); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
