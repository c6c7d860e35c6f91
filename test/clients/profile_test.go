package clients_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A profile assumes a role that wants a second factor, for which the AWS CLI asks; a program gives it the user's keys.
func TestProfileWithSecondFactor(t *testing.T) {
	t.Parallel()
	s := serve(t)
	ann := s.user(t, "ann")
	s.run(t, "aws", "iam", "put-user-policy", "--user-name", "ann", "--policy-name", "p", "--policy-document",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}}`)
	s.run(t, "aws", "iam", "create-role", "--role-name", "admin", "--assume-role-policy-document", `{"Version":"2012-10-17","Statement":{"Effect":"Allow",
		"Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}}`)
	phone := s.EnablePhone("ann", "phone")
	process, err := json.Marshal(map[string]any{"Version": 1, "AccessKeyId": ann.variable(t, "AWS_ACCESS_KEY_ID"), "SecretAccessKey": ann.variable(t, "AWS_SECRET_ACCESS_KEY")})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(ann.home, "config")
	profiles := fmt.Sprintf("[profile ann]\ncredential_process = cat %[1]s/process.json\nregion = us-east-1\n[profile admin]\nrole_arn = arn:aws:iam::123456789012:role/admin\n"+
		"role_session_name = laptop\nsource_profile = ann\nmfa_serial = %[2]s\nregion = us-east-1\n", ann.home, phone.Serial)
	for name, text := range map[string]string{config: profiles, filepath.Join(ann.home, "process.json"): string(process)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ann = s.as(t, keys{}) // keys in the environment count before a profile
	ann.env = append(ann.env, "AWS_CONFIG_FILE="+config)
	// Without a terminal the AWS CLI reads the code from its input.
	who := []string{"--wait", "aws", "sts", "get-caller-identity", "--query", "Arn", "--output", "text", "--profile"}
	if arn := ann.feed(t, "", "setsid", append(who, "ann")...); arn != "arn:aws:iam::123456789012:user/ann" {
		t.Errorf("the program's keys are of %s", arn)
	}
	if arn := ann.feed(t, phone.Code(1)+"\n", "setsid", append(who, "admin")...); arn != "arn:aws:sts::123456789012:assumed-role/admin/laptop" {
		t.Errorf("the role's session is %s", arn)
	}
	ann.refuse(t, []string{"(AccessDenied)", "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::123456789012:role/admin"},
		"aws", "sts", "assume-role", "--role-arn", "arn:aws:iam::123456789012:role/admin", "--role-session-name", "other", "--profile", "ann")
}
