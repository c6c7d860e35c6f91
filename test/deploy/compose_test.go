package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// composeVariables are all that the compose file asks for.
var composeVariables = []string{"POSTGRES_PASSWORD=database-password", "S3_ACCESS_KEY_ID=objects", "S3_SECRET_ACCESS_KEY=objects-password",
	"COFFER_ROOT_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "COFFER_ROOT_SECRET_ACCESS_KEY=root-password"}

func composeFile(t testing.TB) string { return filepath.Join(top(t), "deploy", "compose.yaml") }

// TestComposeFile has compose read the file, and checks what it makes of it.
func TestComposeFile(t *testing.T) {
	t.Parallel()
	all := documents(t, newProgram(t, composeVariables...).run(t, "docker-compose", "--file", composeFile(t), "config"))[0]
	services, _ := all.at("services").value.(map[string]any)
	for name := range services {
		s := all.at("services " + name)
		s.holds(t, map[string]string{"read_only": "true", "cap_drop": "[ALL]", "security_opt": "[no-new-privileges:true]", "privileged": "<nil>"})
		if name != "bucket" && s.at("healthcheck test").value == nil {
			t.Errorf("%s has no check of its health", name)
		}
		if image := s.at("image").String(); name != "postgres" && s.at("cap_add").value != nil || !strings.Contains(image, ":") {
			t.Errorf("%s is of %s with the rights %s", name, image, s.at("cap_add"))
		}
		if name != "proxy" && (s.at("ports").value != nil || s.at("networks outside").value != nil) {
			t.Errorf("%s can be reached from outside", name)
		}
		for _, secret := range []string{"database-password", "objects-password", "root-password"} {
			if strings.Contains(s.at("command").String()+s.at("healthcheck").String()+s.at("entrypoint").String(), secret) {
				t.Errorf("%s has a secret in a command line", name)
			}
		}
	}
	for _, name := range []string{"coffer-1", "coffer-2", "coffer-3"} {
		all.at("services "+name).holds(t, map[string]string{
			"image": "coffer:latest", "depends_on postgres condition": "service_healthy", "depends_on s3 condition": "service_healthy",
			"healthcheck test": "[CMD /usr/bin/coffer health]", "environment COFFER_ROOT_KEY": "file:/run/secrets/root-key", "environment PGPASSWORD": "database-password",
		})
		all.at("services proxy").holds(t, map[string]string{"depends_on " + name + " condition": "service_healthy"})
		variables, _ := all.at("services " + name + " environment").value.(map[string]any)
		for variable := range variables {
			checkSetting(t, variable)
		}
	}
	all.holds(t, map[string]string{"networks inside internal": "true"})
	if proxy := all.at("services proxy networks inside ipv4_address"); proxy.String() != all.at("services coffer-1 environment COFFER_TRUSTED_PROXY").String() {
		t.Errorf("the proxy is at %s, and another one is trusted", proxy)
	}
}

// TestComposeFileHasNoDefaultSecrets leaves out one variable after the other.
func TestComposeFileHasNoDefaultSecrets(t *testing.T) {
	t.Parallel()
	for i, missing := range composeVariables {
		name, _, _ := strings.Cut(missing, "=")
		rest := append(append([]string{}, composeVariables[:i]...), composeVariables[i+1:]...)
		newProgram(t, rest...).refuse(t, "set it to ", "docker-compose", "--file", composeFile(t), "config")
		text, err := os.ReadFile(composeFile(t))
		if err != nil {
			t.Fatal(err)
		}
		if uses := regexp.MustCompile(`\$\{?`+name+`\b(..)`).FindAllStringSubmatch(string(text), -1); len(uses) == 0 {
			t.Errorf("%s is not used", name)
		} else {
			for _, use := range uses {
				if use[1] != ":?" {
					t.Errorf("%s may be missing", name)
				}
			}
		}
	}
}
