{{- define "coffer.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "coffer.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "coffer.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "coffer.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "coffer.selector" -}}
app.kubernetes.io/name: {{ include "coffer.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "coffer.labels" -}}
{{ include "coffer.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "coffer.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "coffer.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "coffer.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "coffer.servicePort" -}}
{{- .Values.service.port | default (ternary 443 80 (ne .Values.tls.secretName "")) -}}
{{- end -}}

{{/* What is missing or contradicts itself is told before anything is installed. */}}
{{- define "coffer.check" -}}
{{- with .Values -}}
{{- if and (not .database.url) (not .database.urlSecret.name) -}}
{{- fail "set database.url, such as postgres://coffer@db.example.com/coffer?sslmode=verify-full, or database.urlSecret.name: replicas share a database" -}}
{{- end -}}
{{- if and .database.url .database.urlSecret.name -}}
{{- fail "database.url and database.urlSecret.name exclude each other" -}}
{{- end -}}
{{- if not .objects.url -}}
{{- fail "set objects.url, such as s3://bucket/prefix?region=eu-central-1: replicas share an object store" -}}
{{- end -}}
{{- if and (not .rootKey.url) (not .rootKey.secret.name) -}}
{{- fail "set rootKey.url or rootKey.secret.name: replicas share what wraps their keys" -}}
{{- end -}}
{{- if and .rootKey.url .rootKey.secret.name -}}
{{- fail "rootKey.url and rootKey.secret.name exclude each other" -}}
{{- end -}}
{{- if not .rootCredentials.secret.name -}}
{{- fail "set rootCredentials.secret.name: the Secret with the access key of the root user" -}}
{{- end -}}
{{- if and .ingress.enabled (not .ingress.hosts) -}}
{{- fail "set ingress.hosts: the names that the Ingress answers to" -}}
{{- end -}}
{{- end -}}
{{- end -}}
