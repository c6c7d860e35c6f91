package sts_test

import (
	"strings"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

const (
	wrongCode   = "MultiFactorAuthentication failed with invalid MFA one time pass code. "
	wrongDevice = "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user."
)

// proof is the input of a request with the code that a device shows now.
func proof(p *coffertest.Phone) in { return in{"SerialNumber": p.Serial, "TokenCode": p.Code(0)} }

// next moves on to the next code.
func (w *world) next() { w.clock.Advance(30 * time.Second) }

func TestGetSessionTokenWithASecondFactor(t *testing.T) {
	w := newWorld(t)
	w.CreateRepository("team/app")
	ann := w.user("ann", statement("Allow", "*", "*"), statement("Deny", "ecr:ListImages", "*", `{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}`),
		statement("Deny", "ecr:DescribeRepositories", "*", `{"NumericGreaterThan":{"aws:MultiFactorAuthAge":"3600"}}`))
	phone, his := w.EnablePhone("ann", "phone"), w.CreatePhone("his")
	w.next()
	w.denied("a serial number alone", ann.Query("sts", "GetSessionToken", in{"SerialNumber": phone.Serial}),
		"MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.")
	w.denied("a code alone", ann.Query("sts", "GetSessionToken", in{"TokenCode": phone.Code(0)}), "")
	w.denied("another's device", ann.Query("sts", "GetSessionToken", proof(his)), wrongDevice)
	w.denied("an old code", ann.Query("sts", "GetSessionToken", in{"SerialNumber": phone.Serial, "TokenCode": phone.Code(-3)}), wrongCode)
	w.denied("the root with a user's device", w.Query("sts", "GetSessionToken", proof(phone)), wrongDevice)
	request := proof(phone)
	proved := w.As(ann.MustQuery("sts", "GetSessionToken", request).KeyOf())
	w.denied("the same code again", ann.Query("sts", "GetSessionToken", request), wrongCode)
	unproved := w.As(ann.MustQuery("sts", "GetSessionToken", nil).KeyOf())
	// BoolIfExists denies those who have no second factor; the key is absent with long-term credentials, which it denies too.
	for who, s := range map[string]*coffertest.Server{"long-term credentials": ann, "no factor": unproved} {
		if mayList(s) || !mayDescribe(s) {
			t.Errorf("%s: list %v, describe %v", who, mayList(s), mayDescribe(s))
		}
	}
	if !mayList(proved) || !mayDescribe(proved) {
		t.Error("a second factor does not count")
	}
	proved.MustQuery("iam", "GetUser", nil) // as IAM demands it
	w.clock.Advance(time.Hour)
	if !mayDescribe(proved) {
		t.Error("an hour is more than 3600 s")
	}
	w.clock.Advance(time.Second)
	if mayDescribe(proved) {
		t.Error("the age does not count")
	}
}

// A role's trust policy may want a second factor: the keys are those of the request, and the role's session has none.
func TestAssumeRoleWithASecondFactor(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann", statement("Allow", "sts:AssumeRole", "*"))
	phone := w.EnablePhone("ann", "phone")
	role := w.role("Builder", document(trust(account, "sts:AssumeRole", `{"Bool":{"aws:MultiFactorAuthPresent":"true"},"NumericLessThan":{"aws:MultiFactorAuthAge":"900"}}`)), nil,
		statement("Allow", "ecr:*", "*", `{"Bool":{"aws:MultiFactorAuthPresent":"false"}}`), statement("Allow", "sts:AssumeRole", "*"))
	closed := w.role("closed", document(trust("arn:aws:iam::123456789012:root", "sts:TagSession")), nil)
	w.next()
	w.denied("no code", ann.Query("sts", "AssumeRole", assume(role, nil)), "")
	w.denied("a wrong code", ann.Query("sts", "AssumeRole", assume(role, in{"SerialNumber": phone.Serial, "TokenCode": phone.Code(5)})), wrongCode)
	// What is refused for another reason costs no code.
	w.denied("a role that trusts nobody", ann.Query("sts", "AssumeRole", assume(closed, proof(phone))), "")
	w.invalid("too long", ann.Query("sts", "AssumeRole", assume(role, in{"SerialNumber": phone.Serial, "TokenCode": phone.Code(0), "DurationSeconds": 7200})), "")
	request := assume(role, proof(phone))
	run := w.As(ann.MustQuery("sts", "AssumeRole", request).KeyOf())
	w.denied("the code again", ann.Query("sts", "AssumeRole", request), wrongCode)
	if !mayDescribe(run) {
		t.Error("the session of the role does not say that it has no second factor")
	}
	w.next()
	w.denied("a role has no device", run.Query("sts", "AssumeRole", assume(role, proof(phone))), wrongDevice)
	// The session of a user who proved one may assume the role without another code, for a while.
	own := w.As(ann.MustQuery("sts", "GetSessionToken", proof(phone)).KeyOf())
	session(own, role, nil)
	w.clock.Advance(900 * time.Second)
	w.denied("too late", own.Query("sts", "AssumeRole", assume(role, nil)), "")
	var proved, unproved int
	for _, r := range w.Trail() {
		if strings.Contains(r.Text, phone.Code(0)) || strings.Contains(r.Text, "okenCode") || strings.Contains(r.Text, "uthenticationCode") {
			t.Errorf("a code is in the trail: %s", r.Text)
		}
		if r.UserIdentity.Type == "AssumedRole" && r.EventName == "DescribeRepositories" {
			if strings.Contains(r.Text, `"mfaAuthenticated":"true"`) {
				proved++
			} else {
				unproved++
			}
		}
	}
	if proved != 1 || unproved != 0 {
		t.Errorf("the trail tells of %d requests with a second factor and %d without", proved, unproved)
	}
}

// Of two requests with the same code at once, one wins.
func TestCodeIsGoodOnce(t *testing.T) {
	w := newWorld(t)
	ann := w.user("ann")
	phone := w.EnablePhone("ann", "phone")
	w.next()
	answers := make(chan coffertest.Response, 6)
	for range cap(answers) {
		go func() { answers <- ann.Query("sts", "GetSessionToken", proof(phone)) }()
	}
	won := 0
	for range cap(answers) {
		if r := <-answers; r.Text("SessionToken") != "" {
			won++
		} else {
			w.denied("one who lost", r, wrongCode)
		}
	}
	if won != 1 {
		t.Errorf("%d won", won)
	}
}

// The root has devices of its own, by its account's id in place of a user name.
func TestSecondFactorOfTheRoot(t *testing.T) {
	w := newWorld(t)
	phone := w.EnablePhone(account, "root-account-mfa-device")
	w.next()
	ann := w.user("ann", statement("Allow", "*", "*"))
	w.denied("another with the root's device", ann.Query("sts", "GetSessionToken", proof(phone)), wrongDevice)
	w.refused("another about the root's devices", ann.Query("iam", "ListMFADevices", in{"UserName": account}), 404, "NoSuchEntity", "")
	own := w.As(w.MustQuery("sts", "GetSessionToken", proof(phone)).KeyOf())
	if serials := own.MustQuery("iam", "ListMFADevices", nil).Texts("SerialNumber"); len(serials) != 1 || serials[0] != phone.Serial {
		t.Errorf("the root's devices are %q", serials)
	}
	own.MustQuery("iam", "DeactivateMFADevice", in{"SerialNumber": phone.Serial})
	own.MustQuery("iam", "DeleteVirtualMFADevice", in{"SerialNumber": phone.Serial})
}
