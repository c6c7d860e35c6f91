package iam_test

import (
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

func TestAccessKeys(t *testing.T) {
	clock := coffertest.NewClock()
	s := coffertest.Start(t, coffertest.Clock(clock.Now))
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	s.MustQuery("iam", "CreateUser", in{"UserName": "bob"})
	created := s.MustQuery("iam", "CreateAccessKey", in{"UserName": "Ann"})
	if created.Text("UserName") != "ann" || created.Text("Status") != "Active" || created.Text("CreateDate") != clock.Now().UTC().Format(time.RFC3339) {
		t.Errorf("a new key: %s", created.Body)
	}
	one := created.KeyOf()
	other := s.MustQuery("iam", "CreateAccessKey", in{"UserName": "ann"}).KeyOf().AccessKeyID
	none := "AKIAI44QH8DHBEXAMPLE"
	run(t, s, []call{
		{"CreateAccessKey", in{"UserName": "ann"}, "LimitExceeded: Cannot exceed quota for AccessKeysPerUser: 2"},
		{"CreateAccessKey", in{"UserName": "none"}, "NoSuchEntity: The user with name none cannot be found."},
		{"UpdateAccessKey", in{"UserName": "ann", "AccessKeyId": none, "Status": "Inactive"}, "NoSuchEntity: The Access Key with id " + none + " cannot be found."},
		{"UpdateAccessKey", in{"UserName": "bob", "AccessKeyId": other, "Status": "Inactive"}, "NoSuchEntity: The Access Key with id " + other + " cannot be found."},
		{"UpdateAccessKey", in{"UserName": "ann", "AccessKeyId": other, "Status": "Expired"}, "InvalidInput: The status of an access key must be Active or Inactive."},
		{"UpdateAccessKey", in{"UserName": "ann", "AccessKeyId": other, "Status": "Inactive"}, ""},
		{"DeleteAccessKey", in{"UserName": "ann", "AccessKeyId": none}, "NoSuchEntity: The Access Key with id " + none + " cannot be found."},
		{"DeleteAccessKey", in{"UserName": "bob", "AccessKeyId": other}, "NoSuchEntity: The Access Key with id " + other + " cannot be found."},
		{"DeleteAccessKey", in{"AccessKeyId": other}, "NoSuchEntity: The Access Key with id " + other + " cannot be found."},
		{"ListAccessKeys", in{"UserName": "none"}, "NoSuchEntity: The user with name none cannot be found."},
		{"ListAccessKeys", in{"UserName": "bob"}, "AccessKeyId:\nIsTruncated: false"},
	})
	listed := map[string]string{}
	for marker := ""; ; {
		page := in{"UserName": "ann", "MaxItems": 1}
		if marker != "" {
			page["Marker"] = marker
		}
		r := s.MustQuery("iam", "ListAccessKeys", page)
		listed[r.Text("AccessKeyId")] = r.Text("Status")
		if marker = r.Text("Marker"); marker == "" {
			break
		}
	}
	if len(listed) != 2 || listed[one.AccessKeyID] != "Active" || listed[other] != "Inactive" {
		t.Errorf("listed one by one: %v", listed)
	}
	s.MustQuery("iam", "UpdateAccessKey", in{"UserName": "ann", "AccessKeyId": other, "Status": "Active"})
	s.MustQuery("iam", "DeleteAccessKey", in{"UserName": "ann", "AccessKeyId": other})
	run(t, s, []call{{"ListAccessKeys", in{"UserName": "ann"}, "AccessKeyId: " + one.AccessKeyID + "\nStatus: Active\nUserName: ann"}})
	for _, r := range s.Trail() {
		if strings.Contains(r.Text, one.SecretAccessKey) {
			t.Errorf("a secret is in the trail: %s", r.Text)
		}
	}
}

// Without a name of a user, the keys are the caller's own: a user's, or the root's.
func TestOwnAccessKeys(t *testing.T) {
	s := coffertest.Start(t)
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	s.MustQuery("iam", "PutUserPolicy", in{"UserName": "ann", "PolicyName": "p", "PolicyDocument": allowAll})
	ann := as(s, "ann")
	for name, c := range map[string]*coffertest.Server{"ann": ann, "": s} {
		second := c.MustQuery("iam", "CreateAccessKey", nil)
		if second.Text("UserName") != name {
			t.Errorf("a key of %q: %s", name, second.Body)
		}
		r := c.MustQuery("iam", "ListAccessKeys", nil)
		if ids := r.Texts("AccessKeyId"); len(ids) != 2 || r.Text("UserName") != name {
			t.Errorf("the keys of %q: %s", name, r.Body)
		}
		key := second.KeyOf()
		c.MustQuery("iam", "UpdateAccessKey", in{"AccessKeyId": key.AccessKeyID, "Status": "Inactive"})
		wantUnknown(t, s.As(key))
		c.MustQuery("iam", "DeleteAccessKey", in{"AccessKeyId": key.AccessKeyID})
	}
}

// The time of a key's last use is known after a moment, by the service that was asked, on the API and under /v2/.
func TestGetAccessKeyLastUsed(t *testing.T) {
	data := t.TempDir() + "/data"
	clock := coffertest.NewClock()
	options := []coffertest.Option{coffertest.Data(data), coffertest.Clock(clock.Now)}
	s := coffertest.Start(t, options...)
	// What was used is on disk at the latest when the server stops.
	restart := func() {
		s.Stop()
		s = coffertest.Start(t, options...)
	}
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	s.MustQuery("iam", "PutUserPolicy", in{"UserName": "ann", "PolicyName": "p", "PolicyDocument": allowAll})
	ann := as(s, "ann").Credentials
	key := in{"AccessKeyId": ann.AccessKeyID}
	run(t, s, []call{
		{"GetAccessKeyLastUsed", in{"AccessKeyId": "AKIAI44QH8DHBEXAMPLE"}, "NoSuchEntity: The Access Key with id AKIAI44QH8DHBEXAMPLE cannot be found."},
		{"GetAccessKeyLastUsed", key, "UserName: ann\nServiceName: N/A\nRegion: N/A\nLastUsedDate:"},
	})
	used := func(service string) {
		t.Helper()
		restart()
		run(t, s, []call{{"GetAccessKeyLastUsed", key, "UserName: ann\nServiceName: " + service + "\nRegion: us-east-1\nLastUsedDate: " + clock.Now().UTC().Format(time.RFC3339)}})
		clock.Advance(time.Hour)
	}
	s.As(ann).MustQuery("sts", "GetCallerIdentity", nil)
	used("sts")
	s.As(ann).MustQuery("iam", "ListUsers", nil)
	used("iam")
	token := s.As(ann).Token()
	used("ecr")
	s.V2(token, "GET", "/v2/_catalog", nil)
	used("ecr")
	s.As(ann).Query("iam", "GetUser", in{"UserName": "nobody"})
	used("iam")
	run(t, s, []call{{"GetAccessKeyLastUsed", in{"AccessKeyId": coffertest.AccessKeyID}, "UserName:\nServiceName: iam"}})
}
