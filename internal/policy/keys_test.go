package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestContextKeys(t *testing.T) {
	old := strings.Replace(allow(`"Resource":"arn:aws:s3:::b/${aws:username}","Condition":{"StringEquals":{"a:key":"${b:key}"}}`), version2012, version2008, 1)
	tests := []struct {
		name      string
		documents []string
		want      []string
	}{
		{"none", []string{allow(`"Action":"*"`)}, []string{}},
		{"no policies", nil, []string{}},
		{"conditions, sorted and each once", []string{allow(`"Condition":{"StringEquals":{"b:key":"x","aws:PrincipalTag/Team":"y"},"Null":{"AWS:principaltag/team":"true"},"IpAddress":{"aws:SourceIp":"::1"}}`)},
			[]string{"aws:PrincipalTag/Team", "aws:SourceIp", "b:key"}},
		{"variables", []string{allow(`"Resource":["arn:aws:s3:::b/${aws:username}/${*}","arn:aws:s3:::b/${ aws:UserId , 'x,y}'}"],"Condition":{"StringLike":{"a:key":["${b:key}-${c:key}","$${d:key}"]}}`)},
			[]string{"a:key", "aws:UserId", "aws:username", "b:key", "c:key", "d:key"}},
		{"NotResource", []string{statements(`{"Effect":"Deny","Action":"*","NotResource":"arn:aws:s3:::${aws:username}"}`)}, []string{"aws:username"}},
		{"no variables under other operators", []string{allow(`"Condition":{"NumericEquals":{"a:key":"${b:key}"}}`)}, []string{"a:key"}},
		{"what is malformed is text", []string{allow(`"Resource":"arn:aws:s3:::${aws:a"`), allow(`"Condition":{"StringEquals":{"a:key":"${${c:key}${"}}`)}, []string{"a:key", "c:key"}},
		{"no variables in the old version", []string{old}, []string{"a:key"}},
		{"several policies and statements", []string{allow(`"Condition":{"Bool":{"b:key":"true"}}`), statements(`{"Effect":"Allow","Action":"*","Resource":"*"}`,
			`{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"a:key":"true","B:Key":"true"}}}`)}, []string{"a:key", "b:key"}},
		{"what can't be read", []string{"{"}, []string{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var policies []*Policy
			for _, document := range test.documents {
				p, _ := Load(KindIdentity, []byte(document), Options{})
				policies = append(policies, p)
			}
			if diff := cmp.Diff(test.want, ContextKeys(policies...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
