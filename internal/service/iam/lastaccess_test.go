package iam_test

import (
	"encoding/xml"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// accessed is what a client reads of reports about services.
type accessed struct {
	Status   string `xml:"JobStatus"`
	Type     string `xml:"JobType"`
	Services []struct {
		Name      string `xml:"ServiceName"`
		Namespace string `xml:"ServiceNamespace"`
		At        string `xml:"LastAuthenticated"`
		By        string `xml:"LastAuthenticatedEntity"`
		Region    string `xml:"LastAuthenticatedRegion"`
		Entities  int    `xml:"TotalAuthenticatedEntities"`
		Actions   []struct {
			Name string `xml:"ActionName"`
			By   string `xml:"LastAccessedEntity"`
		} `xml:"TrackedActionsLastAccessed>member"`
	} `xml:"ServicesLastAccessed>member"`
	Entities []struct {
		ARN  string `xml:"EntityInfo>Arn"`
		Name string `xml:"EntityInfo>Name"`
		Type string `xml:"EntityInfo>Type"`
		Path string `xml:"EntityInfo>Path"`
		At   string `xml:"LastAuthenticated"`
	} `xml:"EntityDetailsList>member"`
	Truncated bool   `xml:"IsTruncated"`
	Marker    string `xml:"Marker"`
	Error     string `xml:"Error>Code"`
}

// readAccess reads a report.
func readAccess(t *testing.T, s *coffertest.Server, operation string, input in) accessed {
	t.Helper()
	var out struct {
		Services accessed `xml:"GetServiceLastAccessedDetailsResult"`
		Entities accessed `xml:"GetServiceLastAccessedDetailsWithEntitiesResult"`
	}
	if err := xml.Unmarshal(s.MustQuery("iam", operation, input).Body, &out); err != nil {
		t.Fatal(err)
	}
	if out.Services.Status != "" {
		return out.Services
	}
	return out.Entities
}

func TestServiceLastAccessed(t *testing.T) {
	clock := coffertest.NewClock()
	options := []coffertest.Option{coffertest.Data(t.TempDir() + "/data"), coffertest.Clock(clock.Now)}
	s := coffertest.Start(t, options...)
	ann := newUser(s, "ann", statement("Allow", "ecr:*", "*", ""))
	bob := newUser(s, "bob", statement("Deny", "iam:*", "*", ""))
	arn := s.MustQuery("iam", "CreatePolicy", in{"PolicyName": "readers", "PolicyDocument": statement("Allow", "*", "*", "")}).Text("Arn")
	s.MustQuery("iam", "CreateGroup", in{"GroupName": "readers", "Path": "/team/"})
	s.MustQuery("iam", "PutGroupPolicy", in{"GroupName": "readers", "PolicyName": "own", "PolicyDocument": statement("Allow", "s3:GetObject", "*", "")})
	s.MustQuery("iam", "AttachGroupPolicy", in{"GroupName": "readers", "PolicyArn": arn})
	s.MustQuery("iam", "CreateUser", in{"UserName": "idle", "Path": "/team/"})
	for _, name := range []string{"ann", "bob", "idle"} {
		s.MustQuery("iam", "AddUserToGroup", in{"GroupName": "readers", "UserName": name})
	}
	ann.MustECR("DescribeRegistry", in{}, nil)
	first := clock.Now().UTC().Format(time.RFC3339)
	clock.Advance(time.Hour)
	bob.MustECR("DescribeRepositories", in{}, nil)
	bob.Query("iam", "ListUsers", nil) // which counts, although it is denied
	second := clock.Now().UTC().Format(time.RFC3339)
	s.Stop() // after which it is on disk who used what
	s = coffertest.Start(t, options...)

	job := func(arn, granularity string) in {
		t.Helper()
		input := in{"Arn": arn}
		if granularity != "" {
			input["Granularity"] = granularity
		}
		return in{"JobId": s.MustQuery("iam", "GenerateServiceLastAccessedDetails", input).Text("JobId")}
	}
	services := func(a accessed) (all []string) {
		for _, s := range a.Services {
			text := s.Namespace + " " + s.At + " " + s.By + " " + s.Region
			for _, action := range s.Actions {
				text += " " + action.Name
			}
			all = append(all, text)
		}
		return all
	}
	for _, test := range []struct {
		name, arn, granularity string
		want                   []string
	}{
		{"a user", iamARN + "user/ann", "", []string{"ecr " + first + " " + iamARN + "user/ann us-east-1", "iam   ", "kms   ", "organizations   ", "s3   ", "sts   "}},
		{"one who is denied a service", iamARN + "user/bob", "SERVICE_LEVEL", []string{"ecr " + second + " " + iamARN + "user/bob us-east-1", "kms   ", "organizations   ", "s3   ", "sts   "}},
		{"a group, by action", iamARN + "group/team/readers", "ACTION_LEVEL", []string{
			"ecr " + second + " " + iamARN + "user/bob us-east-1 DescribeRegistry DescribeRepositories",
			"iam " + second + " " + iamARN + "user/bob us-east-1 ListUsers", "kms   ", "organizations   ", "s3   ", "sts   "}},
		{"a policy", arn, "", []string{"ecr " + second + " " + iamARN + "user/bob us-east-1", "iam " + second + " " + iamARN + "user/bob us-east-1", "kms   ", "organizations   ", "sts   "}},
		{"a policy of AWS that nobody has", "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly", "", []string{"ecr   "}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := readAccess(t, s, "GetServiceLastAccessedDetails", job(test.arn, test.granularity))
			if diff := cmp.Diff(test.want, services(a)); diff != "" || a.Status != "COMPLETED" {
				t.Errorf("%s: -want +got\n%s", a.Status, diff)
			}
			if wantType := map[bool]string{true: "ACTION_LEVEL", false: "SERVICE_LEVEL"}[test.granularity == "ACTION_LEVEL"]; a.Type != wantType {
				t.Errorf("type %s", a.Type)
			}
		})
	}
	group := job(iamARN+"group/team/readers", "")
	a := readAccess(t, s, "GetServiceLastAccessedDetails", group)
	if ecr := a.Services[0]; ecr.Name != "Amazon Elastic Container Registry" || ecr.Entities != 2 || a.Services[4].Name != "s3" {
		t.Errorf("the services: %+v", a.Services)
	}

	t.Run("page by page", func(t *testing.T) {
		var all []string
		input := in{"JobId": group["JobId"], "MaxItems": 4}
		for range 2 {
			page := readAccess(t, s, "GetServiceLastAccessedDetails", input)
			all = append(all, services(page)...)
			input["Marker"] = page.Marker
		}
		if diff := cmp.Diff(services(a), all); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
	t.Run("entities", func(t *testing.T) {
		var all []string
		input := in{"JobId": group["JobId"], "ServiceNamespace": "ecr", "MaxItems": 1}
		for pages := 1; ; pages++ {
			page := readAccess(t, s, "GetServiceLastAccessedDetailsWithEntities", input)
			for _, e := range page.Entities {
				all = append(all, e.Type+" "+e.ARN+" "+e.Path+e.Name+" "+e.At)
			}
			if input["Marker"] = page.Marker; !page.Truncated {
				break
			}
		}
		want := []string{"USER " + iamARN + "user/bob /bob " + second, "USER " + iamARN + "user/ann /ann " + first, "USER " + iamARN + "user/team/idle /team/idle "}
		if diff := cmp.Diff(want, all); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	})
	t.Run("of another", func(t *testing.T) {
		auditor := newUser(s, "auditor", statement("Allow", "*", "*", ""))
		if r := auditor.Query("iam", "GetServiceLastAccessedDetails", group); r.Code() != "NoSuchEntity" {
			t.Errorf("status %d: %s", r.Status, r.Body)
		}
	})
	t.Run("who is gone", func(t *testing.T) {
		s.MustQuery("iam", "CreateUser", in{"UserName": "zoe"})
		gone := job(iamARN+"user/zoe", "")
		s.MustQuery("iam", "DeleteUser", in{"UserName": "zoe"})
		if a := readAccess(t, s, "GetServiceLastAccessedDetails", gone); a.Status != "FAILED" || a.Error != "NoSuchEntity" || len(a.Services) > 0 {
			t.Errorf("%+v", a)
		}
		run(t, s, []call{{"GenerateServiceLastAccessedDetails", in{"Arn": iamARN + "user/zoe"}, "NoSuchEntity: The user with name zoe cannot be found."}})
	})
	t.Run("after a day, and after 400", func(t *testing.T) {
		clock.Advance(25 * time.Hour)
		job(iamARN+"user/ann", "")
		if r := s.Query("iam", "GetServiceLastAccessedDetails", group); r.Code() != "NoSuchEntity" {
			t.Errorf("status %d: %s", r.Status, r.Body)
		}
		clock.Advance(400 * 24 * time.Hour)
		a := readAccess(t, s, "GetServiceLastAccessedDetails", job(iamARN+"user/ann", ""))
		if all := services(a); all[0] != "ecr   " {
			t.Errorf("%q", all)
		}
	})
}

func TestPoliciesGrantingServiceAccess(t *testing.T) {
	s := coffertest.Start(t)
	newUser(s, "ann", statement("Allow", "ecr:*", "*", ""))
	arn := s.MustQuery("iam", "CreatePolicy", in{"PolicyName": "shared", "PolicyDocument": statement("Allow", "*", "*", "")}).Text("Arn")
	s.MustQuery("iam", "CreateGroup", in{"GroupName": "readers"})
	s.MustQuery("iam", "PutGroupPolicy", in{"GroupName": "readers", "PolicyName": "reading", "PolicyDocument": statement("Allow", "iam:Get*", "*", "")})
	s.MustQuery("iam", "AddUserToGroup", in{"GroupName": "readers", "UserName": "ann"})
	s.MustQuery("iam", "AttachGroupPolicy", in{"GroupName": "readers", "PolicyArn": arn})
	s.MustQuery("iam", "AttachUserPolicy", in{"UserName": "ann", "PolicyArn": arn})
	run(t, s, []call{
		{"ListPoliciesGrantingServiceAccess", in{"Arn": iamARN + "user/ann", "ServiceNamespaces": []string{"ecr", "iam", "sts"}},
			"ServiceNamespace: ecr, iam, sts\nPolicyName: own, shared, shared, reading, shared\nPolicyType: INLINE, MANAGED, MANAGED, INLINE, MANAGED\n" +
				"EntityType: USER, GROUP\nEntityName: ann, readers\nPolicyArn: " + arn + ", " + arn + ", " + arn + "\nIsTruncated: false"},
		{"ListPoliciesGrantingServiceAccess", in{"Arn": iamARN + "group/readers", "ServiceNamespaces": []string{"iam"}}, "PolicyName: reading, shared"},
		{"ListPoliciesGrantingServiceAccess", in{"Arn": arn, "ServiceNamespaces": []string{"iam"}},
			"InvalidInput: Invalid Entity Arn: " + arn + " does not clearly define entity type and name."},
	})
}
