{{- define "mistral-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "mistral-operator.fullname" -}}
{{- $name := include "mistral-operator.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* A namespaced name with a suffix that survives truncation: (list $ "metrics") */}}
{{- define "mistral-operator.nameWith" -}}
{{- $suffix := index . 1 }}
{{- printf "%s-%s" (include "mistral-operator.fullname" (index . 0) | trunc (int (sub 62 (len $suffix))) | trimSuffix "-") $suffix }}
{{- end }}

{{- /* Names of roles that meet those of other releases: no two namespaces and names make the same one with a colon */}}
{{- define "mistral-operator.roleName" -}}
{{- printf "%s:%s" .Release.Namespace (include "mistral-operator.fullname" .) }}
{{- end }}

{{- define "mistral-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "mistral-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "mistral-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "mistral-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "mistral-operator.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" (.Chart.AppVersion | toString)
  "app.kubernetes.io/component" "operator"
  "app.kubernetes.io/part-of" "mistral-operator"
  "app.kubernetes.io/managed-by" .Release.Service }}
{{- include "mistral-operator.selectorLabels" . | fromYaml | mergeOverwrite (deepCopy .Values.commonLabels) $own | toYaml }}
{{- end }}

{{- define "mistral-operator.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag | toString) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "mistral-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "mistral-operator.serviceAccountName" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end }}
