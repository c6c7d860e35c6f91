package deploy_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// chart renders the chart with values, and returns its objects by their kinds and names.
func chart(t testing.TB, kubernetes string, values ...string) map[string]node {
	t.Helper()
	args := []string{"template", "test", filepath.Join(top(t), "deploy", "helm", "coffer"), "--namespace", "registry", "--kube-version", kubernetes}
	for _, v := range values {
		args = append(args, "--set-json", v)
	}
	objects := map[string]node{}
	for _, d := range documents(t, newProgram(t).run(t, "helm", args...)) {
		objects[d.at("kind").String()+" "+d.at("metadata name").String()] = d
	}
	return objects
}

// leastValues are all that has to be set.
var leastValues = []string{`database.url="postgres://coffer@db.example.com/coffer"`, `objects.url="s3://bucket?region=eu-central-1"`,
	`rootKey.secret.name="root-key"`, `rootCredentials.secret.name="root"`}

const confinedUser = "65532"

// TestChartIsConfined checks what may not be changed by values.
func TestChartIsConfined(t *testing.T) {
	t.Parallel()
	d := chart(t, "1.31", leastValues...)["Deployment test-coffer"]
	pod, container := d.at("spec template spec"), d.at("spec template spec containers 0")
	d.holds(t, map[string]string{
		"spec replicas": "3", "spec strategy type": "RollingUpdate", "spec strategy rollingUpdate maxUnavailable": "0",
	})
	pod.holds(t, map[string]string{
		"securityContext runAsNonRoot": "true", "securityContext runAsUser": confinedUser, "securityContext runAsGroup": confinedUser,
		"securityContext fsGroup": confinedUser, "securityContext seccompProfile type": "RuntimeDefault",
		"automountServiceAccountToken": "false", "hostNetwork": "<nil>", "hostPID": "<nil>", "serviceAccountName": "test-coffer",
		"terminationGracePeriodSeconds": "65", "topologySpreadConstraints 0 topologyKey": "kubernetes.io/hostname",
		"topologySpreadConstraints 1 topologyKey": "topology.kubernetes.io/zone",
	})
	container.holds(t, map[string]string{
		"securityContext allowPrivilegeEscalation": "false", "securityContext readOnlyRootFilesystem": "true", "securityContext privileged": "false",
		"securityContext capabilities drop": "[ALL]", "securityContext capabilities add": "<nil>",
		"readinessProbe httpGet path": "/readyz", "livenessProbe httpGet path": "/healthz", "startupProbe httpGet path": "/healthz",
		"readinessProbe httpGet port": "admin", "livenessProbe httpGet port": "admin", "startupProbe httpGet port": "admin",
		"resources limits memory": "512Mi", "resources requests cpu": "500m",
		"image": "coffer:latest", "args": "[serve]",
	})
	if port := container.at("ports").named("registry").at("containerPort").String(); port != "5000" {
		t.Errorf("the registry is at port %s", port)
	}
	for _, variable := range container.at("env").list() {
		checkSetting(t, variable.at("name").String())
	}
	if pause := container.at("env").named("COFFER_DRAIN_DELAY").at("value").String(); pause != "5s" {
		t.Errorf("it goes on for %s when it is told to end", pause)
	}
}

// TestChartObjects checks the objects beside the pods.
func TestChartObjects(t *testing.T) {
	t.Parallel()
	all := chart(t, "1.31", append(leastValues, `metrics.serviceMonitor.enabled=true`, `ingress={"enabled":true,"className":"nginx","hosts":["registry.example.com"],"tlsSecretName":"tls"}`,
		`serviceAccount.annotations={"eks.amazonaws.com/role-arn":"arn:aws:iam::123456789012:role/coffer"}`)...)
	for name, want := range map[string]map[string]string{
		"Service test-coffer":             {"spec type": "ClusterIP", "spec ports 0 port": "80", "spec ports 0 targetPort": "registry", "spec ports 1": "<nil>"},
		"Service test-coffer-admin":       {"spec clusterIP": "None", "spec ports 0 port": "5001", "spec ports 1": "<nil>"},
		"PodDisruptionBudget test-coffer": {"spec maxUnavailable": "1", "spec selector matchLabels": "map[app.kubernetes.io/instance:test app.kubernetes.io/name:coffer]"},
		"ServiceAccount test-coffer":      {"automountServiceAccountToken": "false", "metadata annotations": "map[eks.amazonaws.com/role-arn:arn:aws:iam::123456789012:role/coffer]"},
		"ServiceMonitor test-coffer":      {"spec endpoints 0 port": "admin", "spec endpoints 0 path": "/metrics"},
		"Ingress test-coffer": {"spec ingressClassName": "nginx", "spec rules 0 host": "registry.example.com", "spec tls 0 secretName": "tls",
			"spec rules 0 http paths 0 backend service port name": "registry"},
		"NetworkPolicy test-coffer": {
			"spec policyTypes":            "[Ingress Egress]",
			"spec podSelector":            "map[matchLabels:map[app.kubernetes.io/instance:test app.kubernetes.io/name:coffer]]",
			"spec ingress 0 ports 0 port": "registry", "spec ingress 0 from": "<nil>",
			"spec ingress 1 ports 0 port": "admin",
			"spec ingress 1 from":         "[map[namespaceSelector:map[matchLabels:map[kubernetes.io/metadata.name:monitoring]]]]",
			"spec ingress 2":              "<nil>",
			"spec egress 0 ports 0 port":  "53", "spec egress 1 ports 0 port": "5432", "spec egress 2 ports 0 port": "443", "spec egress 3": "<nil>",
		},
	} {
		object, ok := all[name]
		if !ok {
			t.Errorf("there is no %s", name)
			continue
		}
		object.holds(t, want)
	}
	for name := range all {
		if strings.HasPrefix(name, "Secret ") {
			t.Errorf("the chart makes a Secret: %s", name)
		}
	}
	turnedOff := chart(t, "1.31", append(leastValues, `networkPolicy.enabled=false`, `podDisruptionBudget.enabled=false`, `serviceAccount={"create":false,"name":"other"}`)...)
	if len(turnedOff) != 3 {
		t.Errorf("without the rest there are %v", turnedOff)
	}
	if got := turnedOff["Deployment test-coffer"].at("spec template spec serviceAccountName").String(); got != "other" {
		t.Errorf("the service account is %s", got)
	}
}

// TestChartSecrets checks that what is secret comes from Secrets, readable by the group of the pods alone.
func TestChartSecrets(t *testing.T) {
	t.Parallel()
	d := chart(t, "1.31", `database.urlSecret.name="db"`, `objects={"url":"s3://bucket","credentialsSecret":{"name":"s3"}}`, `rootKey.secret.name="root-key"`,
		`rootCredentials.secret.name="root"`, `tls.secretName="tls"`, `trustedProxies=["10.0.0.0/24","10.1.0.7"]`, `regions=["us-east-1","eu-central-1"]`,
		`authorities.configMap="trust"`, `env=[{"name":"COFFER_ALLOW_ANONYMOUS","value":"true"}]`, `image={"repository":"registry.example.com/coffer","digest":"sha256:`+strings.Repeat("0", 64)+`"}`)
	env := d["Deployment test-coffer"].at("spec template spec containers 0 env")
	for name, want := range map[string]string{
		"COFFER_DATABASE": "map[secretKeyRef:map[key:url name:db]]", "AWS_ACCESS_KEY_ID": "map[secretKeyRef:map[key:AWS_ACCESS_KEY_ID name:s3]]",
		"AWS_SECRET_ACCESS_KEY":         "map[secretKeyRef:map[key:AWS_SECRET_ACCESS_KEY name:s3]]",
		"COFFER_ROOT_ACCESS_KEY_ID":     "map[secretKeyRef:map[key:accessKeyId name:root]]",
		"COFFER_ROOT_SECRET_ACCESS_KEY": "map[secretKeyRef:map[key:secretAccessKey name:root]]",
	} {
		if got := env.named(name).at("valueFrom").String(); got != want {
			t.Errorf("%s is %s", name, got)
		}
	}
	for name, want := range map[string]string{
		"COFFER_ROOT_KEY": "file:/run/secrets/coffer/root-key", "COFFER_TLS_CERT": "/run/tls/tls.crt", "COFFER_TLS_KEY": "/run/tls/tls.key",
		"COFFER_TRUSTED_PROXY": "10.0.0.0/24,10.1.0.7", "COFFER_REGION": "us-east-1,eu-central-1", "COFFER_ALLOW_ANONYMOUS": "true",
		"SSL_CERT_FILE": "/run/authorities/ca-certificates.crt",
	} {
		if got := env.named(name).at("value").String(); got != want {
			t.Errorf("%s is %s", name, got)
		}
	}
	volumes := d["Deployment test-coffer"].at("spec template spec volumes")
	for name, secret := range map[string]string{"root-key": "root-key", "tls": "tls"} {
		volumes.named(name).holds(t, map[string]string{"secret secretName": secret, "secret defaultMode": "288"}) // 0440
	}
	d["Service test-coffer"].holds(t, map[string]string{"spec ports 0 port": "443"})
	if got := d["Deployment test-coffer"].at("spec template spec containers 0 image").String(); got != "registry.example.com/coffer@sha256:"+strings.Repeat("0", 64) {
		t.Errorf("the image is %s", got)
	}
}

// TestChartLint has helm look at the chart, and refuse values that can't work, in words.
func TestChartLint(t *testing.T) {
	t.Parallel()
	p, path := newProgram(t), filepath.Join(top(t), "deploy", "helm", "coffer")
	set := func(values ...string) (args []string) {
		for _, v := range values {
			args = append(args, "--set-json", v)
		}
		return args
	}
	p.run(t, "helm", append([]string{"lint", "--strict", "--kube-version", "1.31", path}, set(leastValues...)...)...)
	for name, tt := range map[string]struct {
		values []string
		want   string
	}{
		"nothing":                  {nil, "set database.url, such as postgres://"},
		"no object store":          {leastValues[:1], "set objects.url, such as s3://"},
		"no root key":              {leastValues[:2], "set rootKey.url or rootKey.secret.name"},
		"no root credentials":      {leastValues[:3], "set rootCredentials.secret.name"},
		"two databases":            {append(leastValues, `database.urlSecret.name="db"`), "database.url and database.urlSecret.name exclude each other"},
		"two root keys":            {append(leastValues, `rootKey.url="vault://vault.example.com/transit/coffer"`), "rootKey.url and rootKey.secret.name exclude each other"},
		"an Ingress for nobody":    {append(leastValues, `ingress.enabled=true`), "set ingress.hosts"},
		"a password in plain text": {append(leastValues, `database.url="postgres://coffer:secret@db/coffer"`), "does not match pattern"},
		"a root key in a pod":      {append(leastValues, `rootKey.url="file:/root-key"`), "does not match pattern"},
		"no account":               {append(leastValues, `account="1"`), "does not match pattern"},
		"a word of one's own":      {append(leastValues, `replica=3`), "replica"},
		"no replicas":              {append(leastValues, `replicas=0`), "replicas"},
		"too little grace":         {append(leastValues, `drain.graceSeconds=10`), "graceSeconds"},
	} {
		t.Run(name, func(t *testing.T) {
			p.refuse(t, tt.want, "helm", append([]string{"template", path, "--kube-version", "1.31"}, set(tt.values...)...)...)
		})
	}
}
