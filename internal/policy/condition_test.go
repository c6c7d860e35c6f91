package policy

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

// holds evaluates one condition on a:key against a context that has the values for it.
func holds(t *testing.T, operator string, policy, values []string, request Context) bool {
	t.Helper()
	c, _, ok := newCondition(rawCondition{operator: operator, key: "a:key", values: policy}, true)
	if !ok {
		t.Fatalf("there is no operator %s", operator)
	}
	in := Context{}
	for key, v := range request {
		in[key] = v
	}
	if values != nil {
		in["a:key"] = values
	}
	return c.holds(contexts{request: in}, false)
}

// Every operator: which value of a context matches which of the policy. What a negated operator says is the opposite,
// unless the value is none of its type.
func TestOperators(t *testing.T) {
	tests := []struct {
		operator, negated string
		policy, value     string
		want              bool
	}{
		{"StringEquals", "StringNotEquals", "dev", "dev", true},
		{"StringEquals", "StringNotEquals", "dev", "Dev", false},
		{"StringEquals", "StringNotEquals", "d*", "dev", false},
		{"StringEquals", "StringNotEquals", "d*", "d*", true},
		{"StringEquals", "StringNotEquals", "", "", true},
		{"StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "dEv", "DeV", true},
		{"StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "dEv", "DeVs", false},
		{"StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "É", "é", true},
		{"StringLike", "StringNotLike", "d?v*", "dev/a", true},
		{"StringLike", "StringNotLike", "d?v*", "Dev", false},
		{"StringLike", "StringNotLike", "d?v", "dv", false},
		{"StringLike", "StringNotLike", "*", "", true},
		{"NumericEquals", "NumericNotEquals", "10", "10.0", true},
		{"NumericEquals", "NumericNotEquals", "10", "010", true},
		{"NumericEquals", "NumericNotEquals", "-0", "0", true},
		{"NumericEquals", "NumericNotEquals", "9007199254740993", "9007199254740992", false},
		{"NumericEquals", "NumericNotEquals", "0.1", "0.10000000000000000001", false},
		{"NumericLessThan", "", "10", "9.99", true},
		{"NumericLessThan", "", "10", "10", false},
		{"NumericLessThan", "", "-1", "-1.5", true},
		{"NumericLessThan", "", "0.5", "0.45", true},
		{"NumericLessThanEquals", "", "10", "10", true},
		{"NumericLessThanEquals", "", "10", "10.01", false},
		{"NumericGreaterThan", "", "9", "10", true},
		{"NumericGreaterThan", "", "10", "10", false},
		{"NumericGreaterThan", "", "-1", "0", true},
		{"NumericGreaterThanEquals", "", "10", "+10", true},
		{"NumericGreaterThanEquals", "", "10", "-10", false},
		{"DateEquals", "DateNotEquals", "2026-01-15T12:00:00Z", "2026-01-15T13:00:00+01:00", true},
		{"DateEquals", "DateNotEquals", "2026-01-15T12:00Z", "2026-01-15T12:00:00.000Z", true},
		{"DateEquals", "DateNotEquals", "2026-01-15T12:00:00", "2026-01-15T12:00:00Z", true},
		{"DateEquals", "DateNotEquals", "2026", "2026-01-01T00:00:00Z", true},
		{"DateEquals", "DateNotEquals", "2026-02", "2026-02-01", true},
		{"DateEquals", "DateNotEquals", "1768478400", "2026-01-15T12:00:00Z", true},
		{"DateEquals", "DateNotEquals", "1768478401", "2026-01-15T12:00:00Z", false},
		{"DateLessThan", "", "2026-01-15T12:00:00Z", "2026-01-15T11:59:59.999Z", true},
		{"DateLessThan", "", "2026-01-15T12:00:00Z", "2026-01-15T12:00:00Z", false},
		{"DateLessThan", "", "2026-01-15T12:00:00-01:00", "2026-01-15T12:30:00Z", true},
		{"DateLessThan", "", "9223372036854775807", "2026-01-15T12:00:00Z", true},
		{"DateGreaterThan", "", "2026-01-15T12:00:00.123456788Z", "2026-01-15T12:00:00.123456789Z", true},
		{"DateLessThanEquals", "", "2026-01-15", "2026-01-15T00:00:00Z", true},
		{"DateGreaterThan", "", "2026-01-15", "2026-01-15T00:00:01Z", true},
		{"DateGreaterThan", "", "2026-01-15", "2026-01-15", false},
		{"DateGreaterThanEquals", "", "2026-01-15", "2026-01-15", true},
		{"Bool", "", "true", "true", true},
		{"Bool", "", "True", "tRUE", true},
		{"Bool", "", "false", "true", false},
		{"Bool", "", "false", "", false},
		{"BinaryEquals", "", "QmluYXJ5", "QmluYXJ5", true},
		{"BinaryEquals", "", "QmluYXJ5", "QmluYXJ6", false},
		{"BinaryEquals", "", "QmluYXJ5", "Binary", false},
		{"IpAddress", "NotIpAddress", "203.0.113.0/24", "203.0.113.255", true},
		{"IpAddress", "NotIpAddress", "203.0.113.0/24", "203.0.114.0", false},
		{"IpAddress", "NotIpAddress", "203.0.113.77/24", "203.0.113.1", true},
		{"IpAddress", "NotIpAddress", "203.0.113.7", "203.0.113.7", true},
		{"IpAddress", "NotIpAddress", "203.0.113.7", "203.0.113.8", false},
		{"IpAddress", "NotIpAddress", "0.0.0.0/0", "2001:db8::1", false},
		{"IpAddress", "NotIpAddress", "2001:DB8::/32", "2001:db8:0:0::1", true},
		{"IpAddress", "NotIpAddress", "2001:DB8::1", "2001:db8:0::1", true},
		{"IpAddress", "NotIpAddress", "2001:db8::/32", "203.0.113.7", false},
		{"IpAddress", "NotIpAddress", "203.0.113.0/24", "::ffff:203.0.113.7", true},
		{"IpAddress", "NotIpAddress", "203.0.113.0/24", "elsewhere", false},
		{"ArnEquals", "ArnNotEquals", "arn:aws:s3:::a*", "arn:aws:s3:::abc:d", true},
		{"ArnLike", "ArnNotLike", "arn:aws:iam::*:role/a/?", "arn:aws:iam::123456789012:role/a/b", true},
		{"ArnLike", "ArnNotLike", "arn:aws:iam:*:role/a", "arn:aws:iam::123456789012:role/a", false},
		{"ArnLike", "ArnNotLike", "arn:aws:iam::*", "arn:aws:iam::123456789012:role/a", false},
		{"ArnLike", "ArnNotLike", "arn:aws:iam::123456789012:Role/a", "arn:aws:iam::123456789012:role/a", false},
		{"ArnLike", "ArnNotLike", "arn:aws:iam::*:*", "not:an:arn:at:all:x", false},
		{"ArnLike", "ArnNotLike", "arn:aws:iam::*:*", "arn:aws:iam", false},
		{"ArnLike", "ArnNotLike", "*", "arn:aws:s3:::a", true},
		{"ArnLike", "ArnNotLike", "*", "a", false},
	}
	for _, test := range tests {
		if got := holds(t, test.operator, []string{test.policy}, []string{test.value}, nil); got != test.want {
			t.Errorf("%s %q of %q is %t", test.operator, test.policy, test.value, got)
		}
		if test.negated == "" {
			continue
		}
		if got := holds(t, test.negated, []string{test.policy}, []string{test.value}, nil); got == test.want {
			t.Errorf("%s %q of %q is %t", test.negated, test.policy, test.value, got)
		}
	}
}

// A condition on a value of another type does not hold, and neither does its opposite.
func TestUnreadableValues(t *testing.T) {
	for _, test := range []struct{ operator, policy, value string }{
		{"NumericEquals", "1", "one"}, {"NumericNotEquals", "1", "one"}, {"NumericLessThan", "1", ""}, {"NumericGreaterThan", "1", "1e9"},
		{"NumericNotEquals", "1", "."}, {"NumericNotEquals", "1", "1."}, {"NumericNotEquals", "1", "--1"},
		{"DateEquals", "2026", "now"}, {"DateNotEquals", "2026", "now"}, {"DateNotEquals", "2026", "2026-02-30"},
		{"DateNotEquals", "2026", "2026-01-01T25:00:00Z"}, {"DateNotEquals", "2026", "2026-01T10:00:00Z"}, {"DateLessThan", "2026", "2025-13"},
		{"DateNotEquals", "2026", "2026-01-01T10Z"}, {"DateNotEquals", "2026", "2026-01-01T10:00:00+1:00"}, {"DateNotEquals", "2026", "2026-1-1-1"},
		{"DateNotEquals", "2026", "26-01-01"}, {"DateNotEquals", "2026", "2026-+1-01"}, {"DateNotEquals", "2026", "2026-01-01T10:00:00."},
		{"DateNotEquals", "2026", "2026-01-01T10:00:xx.5Z"}, {"DateNotEquals", "2026", "2026-01-01T10:00:00.xZ"},
		{"Bool", "true", "yes"},
	} {
		if holds(t, test.operator, []string{test.policy}, []string{test.value}, nil) {
			t.Errorf("%s %q of %q holds", test.operator, test.policy, test.value)
		}
	}
}

// What an operator says of a key that is absent, and of several values.
func TestQuantifiers(t *testing.T) {
	absent := []string(nil)
	tests := []struct {
		operator       string
		policy, values []string
		want           bool
	}{
		{"StringEquals", []string{"a"}, absent, false},
		{"StringNotEquals", []string{"a"}, absent, true},
		{"StringNotEqualsIgnoreCase", []string{"a"}, absent, true},
		{"StringNotLike", []string{"*"}, absent, true},
		{"NumericNotEquals", []string{"1"}, absent, true},
		{"NumericLessThan", []string{"1"}, absent, false},
		{"DateNotEquals", []string{"2026"}, absent, true},
		{"DateGreaterThan", []string{"2026"}, absent, false},
		{"NotIpAddress", []string{"10.0.0.0/8"}, absent, true},
		{"ArnNotEquals", []string{"*"}, absent, true},
		{"ArnNotLike", []string{"*"}, absent, true},
		{"Bool", []string{"false"}, absent, false},
		{"BinaryEquals", []string{""}, absent, false},
		{"StringEquals", []string{"a"}, []string{}, false},

		{"StringEqualsIfExists", []string{"a"}, absent, true},
		{"StringEqualsIfExists", []string{"a"}, []string{"b"}, false},
		{"StringNotEqualsIfExists", []string{"a"}, absent, true},
		{"StringNotEqualsIfExists", []string{"a"}, []string{"a"}, false},
		{"BoolIfExists", []string{"true"}, absent, true},
		{"ForAnyValue:StringEqualsIfExists", []string{"a"}, absent, true},
		{"ForAnyValue:StringEqualsIfExists", []string{"a"}, []string{"b"}, false},

		{"Null", []string{"true"}, absent, true},
		{"Null", []string{"true"}, []string{"a"}, false},
		{"Null", []string{"true"}, []string{""}, true},
		{"Null", []string{"TRUE"}, []string{"", ""}, true},
		{"Null", []string{"false"}, absent, false},
		{"Null", []string{"false"}, []string{"a"}, true},
		{"Null", []string{"false"}, []string{"", "a"}, true},
		{"Null", []string{"false"}, []string{""}, false},
		{"Null", []string{"true", "false"}, absent, true},
		{"Null", []string{"false", "true"}, absent, true},
		{"Null", nil, absent, false},

		{"StringEquals", []string{"a", "b"}, []string{"b"}, true},
		{"StringEquals", []string{"a", "b"}, []string{"c"}, false},
		{"StringEquals", nil, []string{"c"}, false},
		{"StringNotEquals", []string{"a", "b"}, []string{"b"}, false},
		{"StringNotEquals", []string{"a", "b"}, []string{"c"}, true},
		{"StringNotEquals", nil, []string{"c"}, true},

		{"StringEquals", []string{"a"}, []string{"c", "a"}, true},
		{"StringNotEquals", []string{"a"}, []string{"c", "a"}, false},
		{"StringNotEquals", []string{"a"}, []string{"c", "d"}, true},

		{"ForAllValues:StringEquals", []string{"a", "b"}, []string{"a", "b", "a"}, true},
		{"ForAllValues:StringEquals", []string{"a", "b"}, []string{"a", "c"}, false},
		{"ForAllValues:StringEquals", []string{"a"}, absent, true},
		{"ForAllValues:StringEquals", []string{"a"}, []string{""}, true},
		{"ForAllValues:StringEquals", nil, []string{"a"}, false},
		{"ForAllValues:StringNotEquals", []string{"a", "b"}, []string{"c", "d"}, true},
		{"ForAllValues:StringNotEquals", []string{"a", "b"}, []string{"c", "a"}, false},
		{"ForAllValues:StringNotLike", []string{"a*"}, absent, true},
		{"ForAnyValue:StringEquals", []string{"a", "b"}, []string{"c", "b"}, true},
		{"ForAnyValue:StringEquals", []string{"a", "b"}, []string{"c", "d"}, false},
		{"ForAnyValue:StringEquals", []string{"a"}, absent, false},
		{"ForAnyValue:StringNotEquals", []string{"a"}, []string{"a", "c"}, true},
		{"ForAnyValue:StringNotEquals", []string{"a", "c"}, []string{"a", "c"}, false},
		{"ForAnyValue:StringNotEquals", []string{"a"}, absent, false},
		{"ForAnyValue:NumericLessThan", []string{"5"}, []string{"9", "4"}, true},
		{"ForAllValues:NumericLessThan", []string{"5"}, []string{"9", "4"}, false},
		{"ForAllValues:ArnLike", []string{"arn:aws:s3:::*"}, []string{"arn:aws:s3:::a", "arn:aws:s3:::b"}, true},
	}
	for _, test := range tests {
		if got := holds(t, test.operator, test.policy, test.values, nil); got != test.want {
			t.Errorf("%s %q of %q is %t", test.operator, test.policy, test.values, got)
		}
	}
}

func TestOperatorNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"StringEquals": true, "ForAnyValue:StringLikeIfExists": true, "ForAllValues:Bool": true, "NotIpAddressIfExists": true,
		"": false, "IfExists": false, "stringEquals": false, "NullIfExists": false, "ForAnyValue:Null": false,
		"IfExistsStringEquals": false, "ForAnyValue:ForAllValues:StringEquals": false, "StringEqualsIfExistsIfExists": false, "BoolNot": false,
	} {
		if _, got := newOperator(name); got != ok {
			t.Errorf("%s is known: %t", name, got)
		}
	}
}

func TestAmbiguousKey(t *testing.T) {
	in := Context{}
	in.Put("aws:ResourceTag/Team", "a")
	in.Put("AWS:resourcetag/team", "a")
	if v := in["aws:resourcetag/team"]; len(v) != 1 || v[0] != "a" {
		t.Fatalf("the same value twice made %q", v)
	}
	in.Put("aws:ResourceTag/TEAM", "b")
	for _, operator := range []string{"StringEquals", "StringNotEquals", "StringLikeIfExists", "ForAllValues:StringEquals", "Null"} {
		c, _, _ := newCondition(rawCondition{operator: operator, key: "aws:resourcetag/team", values: []string{"a", "true", "*"}}, true)
		if c.holds(contexts{resource: in}, false) {
			t.Errorf("%s holds for Allow", operator)
		}
		if !c.holds(contexts{resource: in}, true) {
			t.Errorf("%s does not hold for Deny", operator)
		}
	}
}

// A condition looks first at the keys of the resource that is asked about.
func TestContextOfResource(t *testing.T) {
	one, two := Repository("us-east-1", "123456789012", "one"), Repository("us-east-1", "123456789012", "two")
	set := PolicySet{
		Identity: []*Policy{mustParse(t, KindManaged, allow(`"Action":"ecr:*","Condition":{"StringEquals":{"aws:ResourceTag/env":"dev"}}`))},
		Resources: map[Resource]ResourceSet{
			one: {Context: Context{"aws:resourcetag/env": {"dev"}}},
			two: {Context: Context{"aws:resourcetag/env": {"prod"}}},
		},
	}
	r := Request{Principal: Principal{ARN: "arn:aws:iam::123456789012:user/a", Account: "123456789012"}, Context: Context{"aws:resourcetag/env": {"dev"}}}
	for _, test := range []struct {
		resources []Resource
		want      bool
	}{{[]Resource{one}, true}, {[]Resource{two}, false}, {[]Resource{one, two}, false}} {
		r.Questions = Ask([]string{"ecr:PutImage"}, test.resources...)
		if got := Evaluate(r, set).Allowed; got != test.want {
			t.Errorf("%v: %t", test.resources, got)
		}
	}
}

// The order of decimals is that of the numbers they stand for.
func TestDecimalsCompareLikeNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scaled := rapid.Int64Range(-2_000_000, 2_000_000)
		a, b := scaled.Draw(t, "a"), scaled.Draw(t, "b")
		x, okX := parseDecimal(thousandths(a))
		y, okY := parseDecimal(thousandths(b))
		want := 0
		if a < b {
			want = -1
		} else if a > b {
			want = 1
		}
		if !okX || !okY || x.cmp(y) != want {
			t.Fatalf("%s, %s: %d", thousandths(a), thousandths(b), x.cmp(y))
		}
	})
}

func thousandths(n int64) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	digits, _ := json.Marshal(1_000_000_000 + n)
	return sign + string(digits[1:7]) + "." + string(digits[7:])
}
