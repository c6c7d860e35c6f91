package clients_test

import (
	"slices"
	"testing"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// The AWS CLI makes a user who signs in, and deletes it again.
func TestAWSUsers(t *testing.T) {
	t.Parallel()
	s := serve(t)
	iam := func(v any, args ...string) {
		t.Helper()
		out := s.run(t, "aws", append([]string{"iam", "--output", "json"}, args...)...)
		if v != nil {
			decode(t, out, v)
		}
	}
	iam(nil, "create-user", "--user-name", "ann", "--path", "/team/", "--tags", "Key=team,Value=platform")
	for _, name := range []string{"bob", "carl"} {
		iam(nil, "create-user", "--user-name", name)
	}
	var listed struct {
		Users []struct{ UserName, Arn string }
	}
	iam(&listed, "list-users", "--page-size", "1")
	var arns []string
	for _, u := range listed.Users {
		arns = append(arns, u.Arn)
	}
	const users = "arn:aws:iam::123456789012:user/"
	if want := []string{users + "bob", users + "carl", users + "team/ann"}; !slices.Equal(arns, want) {
		t.Errorf("list-users: %q, want %q", arns, want)
	}
	iam(nil, "create-group", "--group-name", "devs")
	iam(nil, "add-user-to-group", "--group-name", "devs", "--user-name", "ann")
	iam(nil, "update-account-password-policy", "--minimum-password-length", "12", "--require-numbers", "--allow-users-to-change-password")
	iam(nil, "create-login-profile", "--user-name", "ann", "--password", "Example-Passw0rd", "--password-reset-required")
	s.refuse(t, []string{"(PasswordPolicyViolation)", "Password does not conform to the account password policy."},
		"aws", "iam", "update-login-profile", "--user-name", "ann", "--password", "short-1")

	var key struct {
		AccessKey struct{ UserName, AccessKeyID, SecretAccessKey string }
	}
	iam(&key, "create-access-key", "--user-name", "ann")
	ann := []string{"AWS_ACCESS_KEY_ID=" + key.AccessKey.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + key.AccessKey.SecretAccessKey, "aws"}
	var caller struct{ Arn string }
	decode(t, s.run(t, "env", append(ann, "sts", "get-caller-identity", "--output", "json")...), &caller)
	if caller.Arn != users+"team/ann" {
		t.Errorf("get-caller-identity: %+v", caller)
	}
	s.run(t, "env", append(ann, "iam", "change-password", "--old-password", "Example-Passw0rd", "--new-password", "Example-Passw1rd")...)
	iam(nil, "get-access-key-last-used", "--access-key-id", key.AccessKey.AccessKeyID)
	s.refuse(t, []string{"(AccessDenied)", "is not authorized to perform: iam:ListUsers"}, "env", append(ann, "iam", "list-users")...)

	s.refuse(t, []string{"(DeleteConflict)", "Cannot delete entity, must delete access keys first."}, "aws", "iam", "delete-user", "--user-name", "ann")
	iam(nil, "delete-access-key", "--user-name", "ann", "--access-key-id", key.AccessKey.AccessKeyID)
	iam(nil, "delete-login-profile", "--user-name", "ann")
	iam(nil, "remove-user-from-group", "--group-name", "devs", "--user-name", "ann")
	iam(nil, "delete-user", "--user-name", "ann")
	s.refuse(t, []string{"(InvalidClientTokenId)"}, "env", append(ann, "sts", "get-caller-identity")...)
	s.refuse(t, []string{"(NoSuchEntity)", "The user with name ann cannot be found."}, "aws", "iam", "get-user", "--user-name", "ann")
	var root struct {
		User struct{ UserID string }
	}
	iam(&root, "get-user")
	if root.User.UserID != coffertest.Account {
		t.Errorf("get-user: %+v", root)
	}
}
