package iam_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

func TestLoginProfiles(t *testing.T) {
	s := coffertest.Start(t)
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	violation := "PasswordPolicyViolation: Password does not conform to the account password policy."
	none := "NoSuchEntity: Login Profile for User ann cannot be found."
	run(t, s, []call{
		{"GetLoginProfile", in{"UserName": "none"}, "NoSuchEntity: The user with name none cannot be found."},
		{"GetLoginProfile", in{"UserName": "ann"}, none},
		{"UpdateLoginProfile", in{"UserName": "ann", "Password": "Example-Passw0rd"}, none},
		{"UpdateLoginProfile", in{"UserName": "ann"}, none},
		{"DeleteLoginProfile", in{"UserName": "ann"}, none},
		{"CreateLoginProfile", in{"UserName": "ann"}, "ValidationError: 1 validation error detected: Value at 'password' failed to satisfy constraint: Member must not be null"},
		{"CreateLoginProfile", in{"UserName": "ann", "Password": "password"}, violation},
		{"CreateLoginProfile", in{"Password": "Example-Passw0rd"}, "ValidationError: Must specify userName when calling with non-User credentials"},
		{"CreateLoginProfile", in{"UserName": "Ann", "Password": "Example-Passw0rd", "PasswordResetRequired": true}, "UserName: ann\nPasswordResetRequired: true"},
		{"CreateLoginProfile", in{"UserName": "ann", "Password": "Example-Passw0rd"}, "EntityAlreadyExists: Login Profile for user ann already exists."},
		{"UpdateLoginProfile", in{"UserName": "ann", "Password": "Example-Passw1rd"}, ""},
		{"GetLoginProfile", in{"UserName": "ann"}, "UserName: ann\nPasswordResetRequired: true"},
		{"UpdateLoginProfile", in{"UserName": "ann", "PasswordResetRequired": false}, ""},
		{"GetLoginProfile", in{"UserName": "ann"}, "PasswordResetRequired: false"},
		{"DeleteUser", in{"UserName": "ann"}, "DeleteConflict: Cannot delete entity, must delete login profile first."},
		{"DeleteLoginProfile", in{"UserName": "ann"}, ""},
		{"GetLoginProfile", in{"UserName": "ann"}, none},
	})
	noPasswordIn(t, s, "Example-Passw")
}

// noPasswordIn wants passwords that begin so to be nowhere in the trail.
func noPasswordIn(t *testing.T, s *coffertest.Server, password string) {
	t.Helper()
	for _, r := range s.Trail() {
		if strings.Contains(r.Text, password) {
			t.Errorf("a password is in the trail: %s", r.Text)
		}
	}
}

func TestChangePassword(t *testing.T) {
	s := coffertest.Start(t)
	s.MustQuery("iam", "CreateUser", in{"UserName": "ann"})
	ann := as(s, "ann")
	change := func(old, password string) coffertest.Response {
		t.Helper()
		return ann.Query("iam", "ChangePassword", in{"OldPassword": old, "NewPassword": password})
	}
	want := func(r coffertest.Response, status int, code, message string) {
		t.Helper()
		if r.Status != status || r.Code() != code || message != "" && r.Message() != message {
			t.Errorf("status %d, want %d %s: %s", r.Status, status, code, r.Body)
		}
	}
	want(change("Example-Passw0rd", "Example-Passw1rd"), http.StatusForbidden, "AccessDenied",
		"User: arn:aws:iam::123456789012:user/ann is not authorized to perform: iam:ChangePassword on resource: arn:aws:iam::123456789012:user/ann "+
			"because no identity-based policy allows the iam:ChangePassword action")
	s.MustQuery("iam", "UpdateAccountPasswordPolicy", in{"AllowUsersToChangePassword": true, "PasswordReusePrevention": 2})
	want(change("Example-Passw0rd", "Example-Passw1rd"), http.StatusNotFound, "NoSuchEntity", "Login Profile for User ann cannot be found.")
	s.MustQuery("iam", "CreateLoginProfile", in{"UserName": "ann", "Password": "Example-Passw0rd", "PasswordResetRequired": true})
	want(change("Example-Passw1rd", "Example-Passw2rd"), http.StatusForbidden, "AccessDenied", "The old password is incorrect.")
	want(change("Example-Passw0rd", "Example-Passw1rd"), http.StatusOK, "", "")
	run(t, s, []call{
		{"GetLoginProfile", in{"UserName": "ann"}, "PasswordResetRequired: false"},
		{"UpdateLoginProfile", in{"UserName": "ann", "Password": "Example-Passw1rd"}, "PasswordPolicyViolation: Password does not conform to the account password policy."},
		{"ChangePassword", in{"OldPassword": "Example-Passw0rd", "NewPassword": "Example-Passw1rd"}, "InvalidUserType: Only an IAM user can change its own password."},
	})
	// That the account lets its users do it says nothing against a policy that denies it, nor of others' passwords.
	want(ann.Query("iam", "GetAccountPasswordPolicy", nil), http.StatusOK, "", "")
	want(ann.Query("iam", "UpdateLoginProfile", in{"UserName": "ann", "Password": "Example-Passw2rd"}), http.StatusForbidden, "AccessDenied", "")
	s.MustQuery("iam", "PutUserPolicy", in{"UserName": "ann", "PolicyName": "p",
		"PolicyDocument": `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"iam:ChangePassword","Resource":"*"}}`})
	want(change("Example-Passw1rd", "Example-Passw2rd"), http.StatusForbidden, "AccessDenied", "")
	noPasswordIn(t, s, "Example-Passw")
}

func TestPasswordPolicy(t *testing.T) {
	s := coffertest.Start(t)
	none := "NoSuchEntity: The Password Policy with domain name 123456789012 cannot be found."
	run(t, s, []call{
		{"GetAccountPasswordPolicy", nil, none},
		{"DeleteAccountPasswordPolicy", nil, none},
		{"UpdateAccountPasswordPolicy", in{"MinimumPasswordLength": 14, "RequireSymbols": true, "RequireNumbers": true, "RequireUppercaseCharacters": true,
			"RequireLowercaseCharacters": true, "AllowUsersToChangePassword": true, "MaxPasswordAge": 90, "PasswordReusePrevention": 24, "HardExpiry": true}, ""},
		{"GetAccountPasswordPolicy", nil, "MinimumPasswordLength: 14\nRequireSymbols: true\nRequireNumbers: true\nRequireUppercaseCharacters: true\n" +
			"RequireLowercaseCharacters: true\nAllowUsersToChangePassword: true\nExpirePasswords: true\nMaxPasswordAge: 90\nPasswordReusePrevention: 24\nHardExpiry: true"},
		{"UpdateAccountPasswordPolicy", nil, ""},
		{"GetAccountPasswordPolicy", nil, "MinimumPasswordLength: 6\nRequireSymbols: false\nRequireNumbers: false\nRequireUppercaseCharacters: false\n" +
			"RequireLowercaseCharacters: false\nAllowUsersToChangePassword: false\nExpirePasswords: false\nMaxPasswordAge:\nPasswordReusePrevention:\nHardExpiry: false"},
		{"DeleteAccountPasswordPolicy", nil, ""},
		{"GetAccountPasswordPolicy", nil, none},
	})
	for _, wrong := range []in{{"MinimumPasswordLength": 5}, {"MinimumPasswordLength": 129}, {"MaxPasswordAge": 1096}, {"PasswordReusePrevention": 25}} {
		if r := s.Query("iam", "UpdateAccountPasswordPolicy", wrong); r.Code() != "ValidationError" {
			t.Errorf("%v: %s", wrong, r.Body)
		}
	}
}
